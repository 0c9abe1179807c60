/**
 * Gives back what dead gateways had leased. Whether they delivered it is not known: the audit says so for each recipient,
 * and the next attempt follows. Who was under way at three crashes in a row is set aside, because it may have caused them.
 */
import type { Pool } from 'pg';
import type { AuditEvent } from '#audit';
import { writeEvents } from './admin-events.js';
import { inTransaction } from './connections.js';
import { newId } from './new-id.js';

const AT_ONCE = 1_000;
/** Crashes after which a recipient is set aside. From one fewer on, a gateway attempts only one such at a time. */
const MOST_CRASHES = 3;
const REASON = `${MOST_CRASHES} gateways in a row died while they held it`;

/** Rows of stopped nodes; other takers skip those that one holds. */
const FREE = `
  with stray as (
    select q.message_id, q.id, n.id as owner, n.name as node from queue q join node n on q.owner = n.id
    where n.stopped_at is not null limit ${AT_ONCE} for update of q skip locked
  )
  update queue q set owner = null, next_attempt_at = now(), takeovers = q.takeovers + 1, attempts = q.attempts + 1,
    state = case when q.takeovers + 1 >= ${MOST_CRASHES} and q.state = 'queued' then 'broken' else q.state end,
    last_reply = case when q.takeovers + 1 >= ${MOST_CRASHES} and q.state = 'queued' then '${REASON}' else q.last_reply end
  from stray s where q.message_id = s.message_id and q.id = s.id
  returning q.message_id, q.id, q.address, q.route, q.attempts, q.state, s.owner, s.node`;

interface FreedRow {
  readonly message_id: string;
  readonly id: string;
  readonly address: string;
  readonly route: string;
  readonly attempts: number;
  readonly state: string;
  readonly owner: number;
  readonly node: string;
}

/** Until none is left. `by`: the node that does it. */
export async function freeStoppedLeases(pool: Pool, by: string): Promise<void> {
  for (;;) {
    const freed = await inTransaction(pool, async (client) => {
      const { rows } = await client.query<FreedRow>(FREE);
      if (rows.length > 0) await writeEvents(client, [...summaries(rows, by), ...rows.flatMap(eventsOf)]);
      return rows.length;
    });
    if (freed < AT_ONCE) return;
  }
}

function summaries(rows: readonly FreedRow[], by: string): AuditEvent[] {
  const counts = new Map<number, { node: string; owner: number; recipients: number; by: string }>();
  for (const { owner, node } of rows) {
    const count = counts.get(owner) ?? { node, owner, recipients: 0, by };
    count.recipients += 1;
    counts.set(owner, count);
  }
  return [...counts.values()].map((data) => ({ id: newId(), kind: 'queue.taken-over', data }));
}

function eventsOf(row: FreedRow): AuditEvent[] {
  const about = { transactionId: row.message_id, recipientId: row.id, recipient: row.address };
  const uncertain: AuditEvent = {
    ...about,
    id: newId(),
    kind: 'delivery.uncertain',
    data: {
      attempt: row.attempts,
      route: row.route,
      routeRevision: 0,
      host: '',
      stage: 'unknown',
      reply: `gateway ${row.node} died while it held this recipient: it may have been delivered`,
      startedAtMs: Date.now(),
      tookMs: 0,
    },
  };
  if (row.state !== 'broken') return [uncertain];
  return [uncertain, { ...about, id: newId(), kind: 'queue.set-aside', data: { reason: REASON, route: row.route } }];
}
