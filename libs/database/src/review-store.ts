/**
 * Mail held for review. A row of the queue in state `held` waits; the API notes what a person wants (`request`), and a
 * gateway, which has the policy and the content, carries it out (`claimDue`, `settle`), also when nobody came in time.
 *
 * INVARIANT (own rows only): `settle` changes a row only while it is leased to this node and still held.
 */
import type { Pool, PoolClient } from 'pg';
import { recordableJson, type AuditEvent, type RecordedRecipient, type ReviewAction } from '#audit';
import type { ContentSource, HeaderChange, HeldForReview } from '#delivery';
import { writeEvents } from './admin-events.js';
import { inTransaction, query } from './connections.js';
import { newId } from './new-id.js';
import type { Page } from './types.js';

export interface ReviewRequest {
  readonly action: ReviewAction;
  readonly actor: string;
  readonly reason?: string;
  readonly atMs: number;
}

/** As it is stored. `kept`: why the last release did not succeed. */
interface Review extends HeldForReview {
  readonly request?: ReviewRequest;
  readonly kept?: string;
}

export interface HeldMail extends Review {
  /** Of the recipient. */
  readonly id: string;
  readonly messageId: string;
  readonly address: string;
  readonly sender: string;
  readonly sizeBytes: number;
}

/** Held mail under this node's lease, with its content. */
export interface DueReview extends HeldMail {
  readonly content: ContentSource;
}

/** What becomes of held mail. */
export type ReviewSettlement =
  | {
      readonly kind: 'queue';
      readonly address: string;
      readonly route: string;
      readonly headerChanges?: readonly HeaderChange[];
      /** Copies and added recipients that go out with it. */
      readonly added: readonly {
        readonly id: string;
        readonly address: string;
        readonly route: string;
        /** Rule that added it. */
        readonly by: string;
      }[];
    }
  | { readonly kind: 'return'; readonly reply: string }
  | { readonly kind: 'discard' }
  | { readonly kind: 'keep'; readonly why: string; readonly queue?: string; readonly expiresAtMs: number };

export interface ReviewQuery {
  readonly queue?: string;
  readonly limit?: number;
  readonly after?: string;
}

interface Row {
  [column: string]: unknown;
  id: string;
  message_id: string;
  owner: number | null;
  address: string;
  review: Review;
  sender: string;
  size_bytes: string;
  content: Buffer | null;
  content_file: string | null;
}

const COLUMNS = 'q.id, q.owner, q.message_id, q.address, q.review, m.sender, m.size_bytes';
const HELD = `queue q join message m on m.id = q.message_id where q.state = 'held' and q.review is not null`;
const NONE = '00000000-0000-0000-0000-000000000000';

export interface ReviewStoreOptions {
  readonly pool: Pool;
  readonly owner: () => number | null;
}

export class ReviewStore {
  readonly #pool: Pool;
  readonly #options: ReviewStoreOptions;

  constructor(options: ReviewStoreOptions) {
    this.#pool = options.pool;
    this.#options = options;
  }

  /** Oldest first. */
  async list(given: ReviewQuery = {}): Promise<Page<HeldMail>> {
    const limit = Math.min(given.limit ?? 50, 500);
    const [afterMessage = NONE, afterId = NONE] = given.after?.split(' ') ?? [];
    const { rows } = await query<Row>(this.#pool, {
      text: `select ${COLUMNS} from ${HELD} and (q.message_id, q.id) > ($1::uuid, $2::uuid)
               and ($3::text is null or q.review->>'queue' = $3) order by q.message_id, q.id limit $4`,
      values: [afterMessage, afterId, given.queue ?? null, limit + 1],
    });
    const data = rows.slice(0, limit).map(heldMail);
    const last = data.at(-1);
    return { data, ...(rows.length > limit && last !== undefined ? { next: `${last.messageId} ${last.id}` } : {}) };
  }

  /** How much mail each review queue holds; those that hold none are not there. */
  async counts(): Promise<ReadonlyMap<string, number>> {
    const { rows } = await query<{ queue: string; count: number }>(this.#pool, {
      text: `select q.review->>'queue' as queue, count(*)::int as count from ${HELD} group by 1 order by 1`,
    });
    return new Map(rows.map(({ queue, count }) => [queue, count]));
  }

  /** Undefined when the recipient's mail is not held (any more). */
  async get(id: string): Promise<HeldMail | undefined> {
    const { rows } = await query<Row>(this.#pool, {
      text: `select ${COLUMNS} from ${HELD} and q.id = $1`,
      values: [id],
    });
    return rows[0] === undefined ? undefined : heldMail(rows[0]);
  }

  /** With its content, leased to nobody: to be looked at, not to be settled. */
  async withContent(id: string): Promise<DueReview | undefined> {
    const { rows } = await query<Row>(this.#pool, {
      text: `select ${COLUMNS}, m.content, m.content_file from ${HELD} and q.id = $1`,
      values: [id],
    });
    return rows[0] === undefined ? undefined : { ...heldMail(rows[0]), content: contentOf(rows[0]) };
  }

  /** Notes what is to be done, with its event, and wakes the gateways. `busy`: something else was asked before. */
  async request(id: string, request: ReviewRequest): Promise<'requested' | 'not-held' | 'busy'> {
    return inTransaction(this.#pool, async (client) => {
      const { rows } = await client.query<Row>(`select ${COLUMNS} from ${HELD} and q.id = $1 for update of q`, [id]);
      if (rows[0] === undefined) return 'not-held';
      const held = heldMail(rows[0]);
      if (held.request !== undefined || rows[0].owner !== null) return 'busy';
      await client.query(
        `update queue set review = review || jsonb_build_object('request', $3::jsonb), next_attempt_at = now()
         where message_id = $1 and id = $2`,
        [held.messageId, id, recordableJson(request)],
      );
      const { action, actor, reason } = request;
      const data = { queue: held.queue, rule: held.rule, action, actor, ...(reason === undefined ? {} : { reason }) };
      await writeEvents(client, [{ id: newId(), kind: 'review.requested', ...aboutMail(held), data }]);
      await client.query(`select pg_notify('review_requested', $1)`, [id]);
      return 'requested';
    });
  }

  /** Leases held mail for which somebody asked something, or whose time is up. */
  async claimDue(limit: number): Promise<readonly DueReview[]> {
    const { rows } = await query<Row>(this.#pool, {
      text: `with due as (
               select q.message_id, q.id from queue q
               where q.state = 'held' and q.review is not null and q.owner is null and q.next_attempt_at <= now()
               order by q.next_attempt_at limit $2 for update skip locked
             ), leased as (
               update queue q set owner = $1 from due d where q.message_id = d.message_id and q.id = d.id returning q.*
             )
             select ${COLUMNS}, m.content, m.content_file from leased q join message m on m.id = q.message_id`,
      values: [this.#owner(), limit],
    });
    return rows.map((row) => ({ ...heldMail(row), content: contentOf(row) }));
  }

  /** In one transaction with its event. False: the lease was lost, nothing changed. */
  async settle(mail: HeldMail, settlement: ReviewSettlement, event: AuditEvent): Promise<boolean> {
    return inTransaction(this.#pool, async (client) => {
      const changed = await this.#apply(client, mail, settlement);
      if (changed) await writeEvents(client, [event, ...namedAnew(mail, settlement)]);
      return changed;
    });
  }

  /** Gives a lease back: there was nothing to do, or it can not be done here. */
  async giveBack(mail: HeldMail, dueAtMs: number): Promise<void> {
    await query(this.#pool, {
      text: `update queue set owner = null, next_attempt_at = to_timestamp($4::float8 / 1000)
             where message_id = $1 and id = $2 and owner = $3 and state = 'held'`,
      values: [mail.messageId, mail.id, this.#owner(), dueAtMs],
    });
  }

  async #apply(client: PoolClient, mail: HeldMail, settlement: ReviewSettlement): Promise<boolean> {
    const mine = [mail.messageId, mail.id, this.#owner()];
    const WHERE = `where message_id = $1 and id = $2 and owner = $3 and state = 'held'`;
    switch (settlement.kind) {
      case 'discard':
        return hasChanged(await client.query(`delete from queue ${WHERE}`, mine));
      case 'return':
        return hasChanged(
          await client.query(`update queue set ${QUEUED}, header_edits = null, refusal = $4 ${WHERE}`, [
            ...mine,
            settlement.reply,
          ]),
        );
      case 'keep': {
        const { request: _request, ...review } = reviewOf(mail);
        const kept = {
          ...review,
          queue: settlement.queue ?? mail.queue,
          kept: settlement.why,
          expiresAtMs: settlement.expiresAtMs,
        };
        const text = `update queue set owner = null, review = $4::jsonb, next_attempt_at = to_timestamp($5::float8 / 1000) ${WHERE}`;
        return hasChanged(await client.query(text, [...mine, recordableJson(kept), settlement.expiresAtMs]));
      }
      case 'queue': {
        const { address, route, headerChanges, added } = settlement;
        const edits = headerChanges === undefined ? null : recordableJson(headerChanges);
        const done = hasChanged(
          await client.query(`update queue set ${QUEUED}, address = $4, route = $5, header_edits = $6 ${WHERE}`, [
            ...mine,
            address,
            route,
            edits,
          ]),
        );
        if (!done) return false;
        for (const one of added) {
          await client.query(
            `insert into queue (message_id, id, address, route, notify, header_edits, next_attempt_at, accepted_at)
             values ($1, $2, $3, $4, 'NEVER', $5, now(), now())`,
            [mail.messageId, one.id, one.address, one.route, edits],
          );
        }
        return true;
      }
    }
  }

  #owner(): number {
    const owner = this.#options.owner();
    if (owner === null) throw new Error('carrying out reviews needs a joined node');
    return owner;
  }
}

/** Age counts from the release: what waited for a person has not been tried yet. */
const QUEUED = `state = 'queued', owner = null, review = null, next_attempt_at = now(), accepted_at = now()`;

function hasChanged({ rowCount }: { readonly rowCount: number | null }): boolean {
  return (rowCount ?? 0) > 0;
}

function heldMail(row: Row): HeldMail {
  return {
    ...row.review,
    id: row.id,
    messageId: row.message_id,
    address: row.address,
    sender: row.sender,
    sizeBytes: Number(row.size_bytes),
  };
}

function reviewOf(mail: HeldMail): Review {
  const { queue, rule, heldAtMs, expiresAtMs, preview, instead, kept, request } = mail;
  return {
    queue,
    rule,
    heldAtMs,
    expiresAtMs,
    preview,
    ...(instead === undefined ? {} : { instead }),
    ...(kept === undefined ? {} : { kept }),
    ...(request === undefined ? {} : { request }),
  };
}

function contentOf(row: Row): ContentSource {
  if (row.content_file === null) return { kind: 'inline', bytes: row.content ?? new Uint8Array() };
  return { kind: 'spool', file: row.content_file, sizeBytes: Number(row.size_bytes) };
}

/**
 * Recipients that the transaction did not have when it was recorded: they are found by a search like all others. As there,
 * what only says who is a recipient has no `recipientId`.
 */
function namedAnew(mail: HeldMail, settlement: ReviewSettlement): readonly AuditEvent[] {
  if (settlement.kind !== 'queue') return [];
  const { address, route, added } = settlement;
  const said = { verdict: 'accept', reply: '', facts: {} } as const;
  const moved = { id: mail.id, original: mail.address, address, route, by: '', ...said };
  const recipients: readonly RecordedRecipient[] = [
    ...(address === mail.address ? [] : [moved]),
    ...added.map((one) => ({ ...one, original: one.address, addedBy: one.by, ...said })),
  ];
  return recipients.map((data) => ({
    id: newId(),
    kind: 'recipient.judged',
    transactionId: mail.messageId,
    sender: mail.sender,
    recipient: data.address,
    data,
  }));
}

/** What events about held mail have in common. */
export function aboutMail(mail: Pick<HeldMail, 'messageId' | 'id' | 'address' | 'sender'>): {
  readonly transactionId: string;
  readonly recipientId: string;
  readonly recipient: string;
  readonly sender: string;
} {
  return { transactionId: mail.messageId, recipientId: mail.id, recipient: mail.address, sender: mail.sender };
}
