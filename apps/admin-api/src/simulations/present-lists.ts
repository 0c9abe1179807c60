import { setImmediate as nextTurn } from 'node:timers/promises';
import { Inject, Injectable } from '@nestjs/common';
import { checkListEntry, ManagedListBuilder, type CompiledPolicy, type ManagedList } from '#policy';
import { DatabaseAccess } from '../database-access.js';

/** Entries between two turns of the event loop. */
const SLICE = 500;

/** Managed lists as they are now, each read again only when it has changed. */
@Injectable()
export class PresentLists {
  private known: ReadonlyMap<string, ManagedList> = new Map();

  constructor(@Inject(DatabaseAccess) private readonly database: DatabaseAccess) {}

  /** `isLive`: the entries were checked by this very policy when they were added. */
  async of(policy: CompiledPolicy, isLive: boolean): Promise<ReadonlyMap<string, ManagedList>> {
    const heads = new Map((await this.database.current.lists.heads()).map(({ list, revision }) => [list, revision]));
    const lists = new Map<string, ManagedList>();
    for (const { name, type } of policy.managedLists) {
      const known = this.known.get(name);
      const same = isLive && known?.type === type && known.revision === (heads.get(name) ?? 0);
      lists.set(name, same ? known : await this.read(name, type, isLive ? undefined : policy));
    }
    if (isLive) this.known = lists;
    return lists;
  }

  /** Another policy may declare another type or bound: entries that it would not let in are left out. */
  private async read(name: string, type: ManagedList['type'], bound: CompiledPolicy | undefined): Promise<ManagedList> {
    const builder = new ManagedListBuilder(type, name);
    const { revision } = await this.database.current.lists.read(name, async (values) => {
      for (let from = 0; from < values.length; from += SLICE) {
        const slice = values.slice(from, from + SLICE);
        builder.add(bound === undefined ? slice : slice.filter((value) => checkListEntry(bound, name, value).ok));
        await nextTurn();
      }
    });
    return builder.build(revision);
  }
}
