import { Inject, Injectable } from '@nestjs/common';
import type { QueueEntry } from '#database';
import {
  buildManagedList,
  createSnapshot,
  judgeRouting,
  mayRedirectTo,
  parseAddress,
  type ManagedList,
  type Snapshot,
} from '#policy';
import { DatabaseAccess } from '../database-access.js';
import { Problem } from '../http/problem.js';
import { LivePolicyReader } from '../policies/live-policy-reader.js';

export type ChosenRoute = { readonly ok: true; readonly route: string } | { readonly ok: false; readonly why: string };

/** Where mail of the queue goes by the policy in force, with the facts that were recorded when it was accepted. */
@Injectable()
export class LiveRouting {
  private lists: ReadonlyMap<string, ManagedList> = new Map();

  constructor(
    @Inject(DatabaseAccess) private readonly database: DatabaseAccess,
    @Inject(LivePolicyReader) private readonly reader: LivePolicyReader,
  ) {}

  /** `address`: where it goes, instead of where it went so far. */
  async choose(snapshot: Snapshot, entry: QueueEntry, address: string): Promise<ChosenRoute> {
    const told = await this.database.current.audit.transaction(entry.messageId);
    if (told === undefined) {
      return {
        ok: false,
        why: 'the record of its transaction is gone, so that routing rules cannot choose: name a route',
      };
    }
    const recorded = told.record.recipients.find(({ id }) => id === entry.id);
    const facts = {
      ...told.record.facts,
      ...recorded?.facts,
      sender: entry.sender ?? '',
      time: new Date().toISOString(),
    };
    const decision = judgeRouting(snapshot, {
      facts: { ...facts, recipient: address },
      client: told.record.client,
      tags: recorded?.tags ?? [],
      recipient: address,
      original: recorded?.original ?? entry.address,
    });
    if (decision.route !== undefined) return { ok: true, route: decision.route };
    const because = decision.unknown === undefined ? '' : `: \`${decision.unknown}\` is not known`;
    return {
      ok: false,
      why: `no routing rule of the policy in force chooses a route (${decision.by}${because}): name one`,
    };
  }

  /** Throws the problem when the policy in force has no such route. */
  async requireRoute(name: string): Promise<void> {
    const { routes } = (await this.current()).policy;
    if (routes.has(name)) return;
    const known = [...routes.keys()].map((route) => `\`${route}\``).join(', ');
    throw refused(
      `there is no route \`${name.slice(0, 100)}\` in the policy in force, expected one of ${known}`,
      '/route',
    );
  }

  /** The address as it is stored. Throws the problem when mail may not be sent there by hand. */
  async requireTarget(text: string): Promise<string> {
    const read = parseAddress(text);
    if (!read.ok) throw refused(read.message, '/to');
    const allowed = mayRedirectTo(await this.current(), read.address);
    if (allowed === 'yes') return read.address;
    const what = allowed === 'no' ? 'is not' : 'is not known to be';
    const domain = read.address.slice(read.address.lastIndexOf('@') + 1);
    throw refused(
      `\`${domain}\` ${what} an accepted domain: mail may be redirected to \`domains\` of the policy in force, and to addresses that it sends mail to itself (\`external: allowed\`)`,
      '/to',
    );
  }

  /** Of this very moment; built anew only when policy or lists have changed. */
  async current(): Promise<Snapshot> {
    const policy = await this.reader.compiled();
    const { lists: store } = this.database.current;
    const heads = new Map((await store.heads()).map(({ list, revision }) => [list, revision]));
    const lists = new Map<string, ManagedList>();
    for (const { name, type } of policy.managedLists) {
      const known = this.lists.get(name);
      if (known?.type === type && known.revision === (heads.get(name) ?? 0)) {
        lists.set(name, known);
        continue;
      }
      const { revision, values } = await store.load(name);
      lists.set(name, buildManagedList(type, name, revision, values));
    }
    this.lists = lists;
    return createSnapshot(policy, lists, { compiledAt: new Date().toISOString() });
  }
}

function refused(message: string, pointer: string): Problem {
  return new Problem('value-refused', message, [{ code: 'value-refused', pointer, message }]);
}
