/** SQL of the queue's hot path. Plans were read with `explain analyze` on an empty, a full and a never-analyzed table. */
import { blockInsert } from './audit-chain.js';
import { AUDIT_COLUMNS, AUDIT_PARAMETERS, auditSelect, auditUnnest } from './audit-rows.js';

/** An operator has suspended the destination of row q. */
export const IS_SUSPENDED = `exists (select from suspended_destination d where d.domain = address_domain(q.address))`;

/** A row anybody may claim; the partial index queue_due_idx holds these, and the suspects. */
const FREE = `q.owner is null and q.state = 'queued' and q.takeovers < 2`;
/** Under way at two crashes in a row: attempted one at a time by each node, so that a third crash blames nobody else. */
const SUSPECT = `q.takeovers >= 2 and q.state = 'queued'`;

const IN_TIME = `q.next_attempt_at <= now() and q.next_attempt_at >= now() - make_interval(secs => $3)`;

/**
 * $1 routes and $2 their last visited domains, $3 look-back in seconds, $4 most domains of each route. The next domains
 * with free rows, one index probe each, and whether rows of them are due; a null domain ends a route.
 */
export const VISIT_PLACES = `
  with recursive place (route, domain, visit) as (
    select r.route, r.after, 0 from unnest($1::text[], $2::text[]) as r (route, after)
    union all
    select p.route, (select address_domain(q.address) from queue q
      where ${FREE} and q.route = p.route and address_domain(q.address) > p.domain
      order by address_domain(q.address) limit 1), p.visit + 1
    from place p where p.domain is not null and p.visit < $4
  )
  select p.route, p.domain, p.domain is not null and exists (select from queue q
    where ${FREE} and q.route = p.route and address_domain(q.address) = p.domain and ${IN_TIME}) as due
  from place p where p.visit > 0 order by p.visit`;

/**
 * $1 most recipients, $2 owner, $3 look-back in seconds, $4 a number of its own, $5 routes to leave out, $6 routes and $7
 * how many rows they want at most, $8 to $10 places: route, domain, how many rows (claim-plan.ts). Fair: routes with due
 * rows are found first (one index probe each), then each, like each place, gives its oldest rows up to an equal share. Isolation: read committed; rows locked by another
 * claim are skipped, so that two claims are disjoint. One result row per message and route; the message's columns
 * are null when its content is gone. Nothing due: no row.
 */
export const CLAIM = `
  with recursive route_name (name) as (
    (select q.route from queue q where ${FREE} order by q.route limit 1)
    union all
    select (select q.route from queue q where ${FREE} and q.route > r.name order by q.route limit 1)
    from route_name r where r.name is not null
  ), due_route as (
    select r.name from route_name r where r.name is not null and r.name <> all($5::text[]) and exists (
      select from queue q where ${FREE} and q.route = r.name and ${IN_TIME})
  ), share (rows) as (
    select greatest(1, ceil($1::float8 / ((select count(*) from due_route) + cardinality($8::text[])))::bigint)
  ), picked as (
    (select p.message_id, p.id from due_route r
      left join unnest($6::text[], $7::bigint[]) as l (route, room) on l.route = r.name
      cross join lateral (
        select q.message_id, q.id from queue q where ${FREE} and q.route = r.name and ${IN_TIME}
        order by q.next_attempt_at
        limit least((select s.rows from share s), l.room) for update skip locked) p
    union all
    select p.message_id, p.id from unnest($8::text[], $9::text[], $10::bigint[]) as l (route, domain, room)
      cross join lateral (
        select q.message_id, q.id from queue q
        where ${FREE} and q.route = l.route and address_domain(q.address) = l.domain and ${IN_TIME}
        order by q.next_attempt_at
        limit least((select s.rows from share s), l.room) for update skip locked) p)
    limit $1
  ), suspect as (
    select q.message_id, q.id from queue q where ${SUSPECT} and q.owner is null and q.next_attempt_at <= now()
      and not exists (select from queue q where ${SUSPECT} and q.owner = $2)
    order by q.next_attempt_at limit 1 for update skip locked
  ), leased as (
    update queue q set owner = $2, claim = $4 from (select * from picked union all select * from suspect) p where q.message_id = p.message_id and q.id = p.id
    returning q.message_id, q.id, q.route, q.address, q.attempts, q.accepted_at, q.notify, q.original_recipient,
      q.delay_notified, q.header_edits, q.refusal
  )
  select l.message_id, l.route, l.accepted_at, l.recipients, l.header_edits, l.refusal,
    m.sender, m.size_bytes, m.body_8bit, m.policy_revision, m.content, m.content_file, m.ret, m.envelope_id, m.smtp_utf8
  from (
    select message_id, route, header_edits, refusal, min(accepted_at) as accepted_at,
      json_agg(json_build_object('id', id, 'address', address, 'attempts', attempts, 'notify', notify,
        'originalRecipient', original_recipient, 'delayNotified', delay_notified) order by id) as recipients
    from leased group by message_id, route, header_edits, refusal
  ) l left join message m on m.id = l.message_id`;

const FIRST_AUDIT = 9;

/**
 * $1 owner; $2, $3 finished rows (message, recipient); $4..$8 rows to try again; $9.. events, then their block. Ends with
 * an error (LEASE_LOST) when one of the rows is not leased to the owner any more: then nothing of it is stored.
 */
export const RECORD = `
  with gone as (
    delete from queue q using unnest($2::uuid[], $3::uuid[]) as i (message_id, id)
    where q.message_id = i.message_id and q.id = i.id and q.owner = $1 returning q.id
  ), again as (
    update queue q set owner = null, next_attempt_at = i.next_attempt_at, last_reply = i.last_reply, attempts = q.attempts + 1,
      delay_notified = q.delay_notified or i.delay_notified, takeovers = 0
    from unnest($4::uuid[], $5::uuid[], $6::timestamptz[], $7::text[], $8::bool[])
      as i (message_id, id, next_attempt_at, last_reply, delay_notified)
    where q.message_id = i.message_id and q.id = i.id and q.owner = $1 returning q.id
  ), event as (
    insert into audit_event (${AUDIT_COLUMNS}) select ${auditSelect()} from ${auditUnnest(FIRST_AUDIT)}
  ), block as (${blockInsert(FIRST_AUDIT + AUDIT_PARAMETERS, FIRST_AUDIT)})
  select case when (select count(*) from gone) + (select count(*) from again)
    < cardinality($3::uuid[]) + cardinality($5::uuid[]) then refuse_lost_lease() end`;

/** Raised by refuse_lost_lease(). */
export const LEASE_LOST = 'P0L01';

/** $1 owner; $2, $3 rows. Those that are leased to the owner now. */
export const STILL_LEASED = `
  select q.id from queue q join unnest($2::uuid[], $3::uuid[]) as i (message_id, id)
    on q.message_id = i.message_id and q.id = i.id where q.owner = $1`;

/** $1 owner; $2, $3 rows, $4 milliseconds until they are due. Mail to a suspended destination is parked. */
export const RELEASE = `
  update queue q set owner = null, next_attempt_at = now() + make_interval(secs => i.pause_ms / 1000.0),
    state = case when q.state = 'queued' and q.refusal is null and ${IS_SUSPENDED} then 'suspended' else q.state end
  from unnest($2::uuid[], $3::uuid[], $4::int8[]) as i (message_id, id, pause_ms)
  where q.message_id = i.message_id and q.id = i.id and q.owner = $1`;

/** $1 owner; $2, $3 rows; $4 reason. */
export const SET_ASIDE = `
  update queue q set owner = null, state = 'broken', last_reply = $4 from unnest($2::uuid[], $3::uuid[]) as i (message_id, id)
  where q.message_id = i.message_id and q.id = i.id and q.owner = $1`;
