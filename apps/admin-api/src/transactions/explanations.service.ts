import { Inject, Injectable } from '@nestjs/common';
import { parsePublicId, type TransactionRecord } from '#audit';
import type { PolicyRevision } from '#database';
import {
  buildManagedList,
  checkListEntry,
  createSnapshot,
  explainNotice,
  explainTransaction,
  type CompiledPolicy,
  type Explanation,
  type ManagedList,
  type Snapshot,
} from '#policy';
import { DatabaseAccess } from '../database-access.js';
import { Problem } from '../http/problem.js';
import { POLICY_NAME } from '../policies/policy-name.js';
import { compileAside } from '../policy-aside.js';
import type { ExplanationDto } from './explanation.dto.js';
import { explanationOf, namedRecipients } from './explanation.js';
import { introducedIn } from '../policies/rule-history.js';

interface Judging {
  readonly policy: CompiledPolicy;
  /** Another revision than the recorded one. */
  readonly another: boolean;
  /** Recorded revisions of managed lists. */
  readonly revisions: Readonly<Record<string, number>>;
}

/** Of mail that the gateway itself sent there are no facts of a connection: nobody connected. */
function explained(snapshot: Snapshot, record: TransactionRecord): Explanation {
  const recipients = namedRecipients(record).map((recipient) => recipient.facts);
  const [only] = recipients;
  const isNotice = record.clientPort === 0 && Object.keys(record.facts).length === 0;
  if (isNotice && recipients.length === 1 && only !== undefined) return explainNotice(snapshot, only);
  return explainTransaction(snapshot, record.facts, recipients);
}

/** Judges a recorded transaction again, by the policy and the lists that judged it, or by another revision. */
@Injectable()
export class ExplanationsService {
  /** Of the last explanation only: people ask about the same snapshot several times in a row. */
  private policy: { readonly digest: string; readonly compiled: CompiledPolicy } | undefined;
  private lists: ReadonlyMap<string, ManagedList> = new Map();

  constructor(@Inject(DatabaseAccess) private readonly database: DatabaseAccess) {}

  async explain(text: string, againstRevision: number | undefined): Promise<ExplanationDto> {
    const id = parsePublicId('txn', text);
    const story = id === undefined ? undefined : await this.database.current.audit.transaction(id);
    if (id === undefined || story === undefined) throw new Problem('not-found', 'there is no such transaction');
    const { record } = story;
    const revision = await this.revision(againstRevision ?? record.snapshot.revision);
    const policy = await this.compiled(revision);
    const another = revision.revision !== record.snapshot.revision;
    const lists = await this.listsOf({ policy, another, revisions: record.snapshot.lists });
    const explanation = explained(createSnapshot(policy, lists), record);
    const judgedBy = {
      policy: revision.policy,
      revision: revision.revision,
      digest: revision.digest,
      lists: Object.fromEntries([...lists].map(([name, list]) => [name, list.revision])),
    };
    const introduced = await introducedIn(
      revision,
      new Set(explanation.decision.recipients.map(({ by }) => by)),
      (number) => this.database.current.policies.revision(number, revision.policy),
    );
    return explanationOf({ id, record, judgedBy, explanation, introduced });
  }

  /** Of the installation's one policy, whatever name its document gives itself. */
  private async revision(number: number): Promise<PolicyRevision> {
    const revision = await this.database.current.policies.revision(number, POLICY_NAME);
    if (revision === undefined) throw new Problem('not-found', `there is no revision ${number}`);
    return revision;
  }

  private async compiled({ digest, source, revision }: PolicyRevision): Promise<CompiledPolicy> {
    if (this.policy?.digest === digest) return this.policy.compiled;
    const result = await compileAside(source);
    if (!result.ok) {
      throw new Problem('conflict', `revision ${revision} of the policy is not understood by this version`);
    }
    this.policy = { digest, compiled: result.policy };
    return result.policy;
  }

  private async listsOf(judging: Judging): Promise<ReadonlyMap<string, ManagedList>> {
    const lists = new Map<string, ManagedList>();
    for (const { name, type } of judging.policy.managedLists) {
      const known = this.lists.get(name);
      const same = known?.type === type && known.revision === judging.revisions[name] && !judging.another;
      lists.set(name, same ? known : await this.loadList(name, type, judging));
    }
    if (!judging.another) this.lists = lists;
    return lists;
  }

  /**
   * A list that the recorded policy did not have is taken as it is now. Another revision may declare another type or
   * bound: entries that it would not have let in are left out.
   */
  private async loadList(name: string, type: ManagedList['type'], judging: Judging): Promise<ManagedList> {
    const { lists } = this.database.current;
    const recorded = judging.revisions[name];
    const { revision, values } =
      recorded === undefined
        ? await lists.load(name)
        : { revision: recorded, values: await lists.valuesAt(name, recorded) };
    const fitting = judging.another ? values.filter((value) => checkListEntry(judging.policy, name, value).ok) : values;
    return buildManagedList(type, name, revision, fitting);
  }
}
