/**
 * The queue against a model, on PostgreSQL: accept, claim, record, retry, expire, crash, cut-off and return in any order, by
 * three nodes, while operators hold, release, redirect, give up, drop, suspend and resume. No recipient is ever lost, none is
 * ever leased twice at a time, and what a node has nobody changes.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Pool } from 'pg';
import type { QueuedMessage, RecipientOutcome } from '#delivery';
import { openDatabase, type Database, type QueueChange } from '#database';
import { freeStoppedLeases } from '../../libs/database/src/lease-takeover.js';
import { attemptEvent, makeMessage } from '../database/message.js';
import { createTestDatabase, type TestDatabase } from '../support/postgres.js';

const NODES = [0, 1, 2] as const;
const MOST_CRASHES = 3;

type Place =
  | { kind: 'waiting' }
  | { kind: 'leased'; node: number }
  | { kind: 'done' }
  | { kind: 'aside' }
  | { kind: 'held' }
  | { kind: 'suspended' };

interface Recipient {
  readonly id: string;
  readonly messageId: string;
  address: string;
  place: Place;
  crashes: number;
  givenUp: boolean;
}

interface Model {
  suspended: boolean;
  readonly recipients: Map<string, Recipient>;
}

interface Node {
  db: Database;
  owner: number;
}

interface Real {
  readonly pool: Pool;
  readonly nodes: Node[];
}

let database: TestDatabase;
let pool: Pool;

beforeAll(async () => {
  database = await createTestDatabase();
  pool = new Pool({ connectionString: database.url, max: 2 });
});

afterAll(async () => {
  await pool.end();
  await database.drop();
});

function leasedBy(model: Model, node: number): Recipient[] {
  return [...model.recipients.values()].filter(({ place }) => place.kind === 'leased' && place.node === node);
}

function waiting(model: Model): Recipient[] {
  return [...model.recipients.values()].filter(({ place }) => place.kind === 'waiting');
}

/** What the database holds is what the model says, row by row. */
async function same(model: Model, real: Real): Promise<void> {
  const { rows } = await real.pool.query<{ id: string; owner: number | null; state: string }>(
    'select id, owner, state from queue',
  );
  const stored = new Map(rows.map((row) => [row.id, row]));
  for (const recipient of model.recipients.values()) {
    const row = stored.get(recipient.id);
    stored.delete(recipient.id);
    if (recipient.place.kind === 'done') expect(row).toBeUndefined();
    else
      expect({ id: recipient.id, owner: row?.owner, state: row?.state }).toEqual({
        id: recipient.id,
        ...expected(recipient, real),
      });
  }
  expect([...stored]).toEqual([]);
}

function expected({ place }: Recipient, real: Real): { owner: number | null; state: string } {
  const owner = place.kind === 'leased' ? (real.nodes[place.node]?.owner ?? -1) : null;
  return { owner, state: STATES.get(place.kind) ?? 'queued' };
}

const STATES: ReadonlyMap<Place['kind'], string> = new Map([
  ['aside', 'broken'],
  ['held', 'held'],
  ['suspended', 'suspended'],
]);
/** The one that is suspended now and then. */
const DOMAIN = 'sometimes.test';

function isSuspended(model: Model, { address, givenUp }: Recipient): boolean {
  return model.suspended && !givenUp && address.endsWith(`@${DOMAIN}`);
}

function outcomesFor(recipients: readonly Recipient[], kind: 'done' | 'retry' | 'expired'): RecipientOutcome[] {
  return recipients.map(({ id, messageId, address }) => {
    const about = { recipientId: id, messageId };
    if (kind === 'retry') {
      const event = attemptEvent('delivery.deferred', messageId, address, '451 4.3.0 later');
      return { ...about, kind, nextAttemptAtMs: Date.now() - 1, lastReply: '451 4.3.0 later', event };
    }
    const event = attemptEvent(kind === 'done' ? 'delivery.succeeded' : 'delivery.expired', messageId, address);
    return { ...about, kind: 'done', event };
  });
}

class Accept implements fc.AsyncCommand<Model, Real> {
  constructor(
    readonly node: number,
    readonly count: number,
    readonly leased: boolean,
  ) {}
  check = (): boolean => true;
  async run(model: Model, real: Real): Promise<void> {
    const recipients = Array.from(
      { length: this.count },
      (_, index) => `r${index}@${index % 2 === 0 ? DOMAIN : 'example.net'}`,
    );
    const message = makeMessage({ recipients, leased: this.leased, route: this.leased ? 'a' : 'b' });
    await real.nodes[this.node]?.db.messages.accept(message);
    for (const { id, address } of message.recipients) {
      const place: Place = this.leased ? { kind: 'leased', node: this.node } : { kind: 'waiting' };
      model.recipients.set(id, { id, address, messageId: message.id, place, crashes: 0, givenUp: false });
    }
    await same(model, real);
  }
  toString = (): string => `accept(${this.node}, ${this.count}, ${this.leased ? 'leased' : 'due'})`;
}

class Claim implements fc.AsyncCommand<Model, Real> {
  constructor(
    readonly node: number,
    readonly limit: number,
  ) {}
  check = (): boolean => true;
  async run(model: Model, real: Real): Promise<void> {
    const due = waiting(model);
    const suspects = leasedBy(model, this.node).filter(({ crashes }) => crashes >= MOST_CRASHES - 1);
    const claimed: readonly QueuedMessage[] = (await real.nodes[this.node]?.db.queue.claim(this.limit)) ?? [];
    const ids = claimed.flatMap(({ recipients }) => recipients.map(({ id }) => id));
    expect(new Set(ids).size).toBe(ids.length);
    for (const id of ids) {
      const recipient = model.recipients.get(id);
      expect({ id, place: recipient?.place }).toEqual({ id, place: { kind: 'waiting' } });
      if (recipient !== undefined) recipient.place = { kind: 'leased', node: this.node };
    }
    const sound = due.filter(({ crashes }) => crashes < MOST_CRASHES - 1);
    const gotSound = ids.filter((id) => sound.some((recipient) => recipient.id === id));
    expect(gotSound.length).toBeGreaterThanOrEqual(Math.min(sound.length, 1));
    expect(ids.length - gotSound.length).toBeLessThanOrEqual(suspects.length === 0 ? 1 : 0);
    await same(model, real);
  }
  toString = (): string => `claim(${this.node}, ${this.limit})`;
}

class Record implements fc.AsyncCommand<Model, Real> {
  constructor(
    readonly node: number,
    readonly kind: 'done' | 'retry' | 'expired',
    readonly twice: boolean,
  ) {}
  check = (model: Readonly<Model>): boolean => leasedBy(model, this.node).length > 0;
  async run(model: Model, real: Real): Promise<void> {
    const some = leasedBy(model, this.node).slice(0, 3);
    const outcomes = outcomesFor(some, this.kind);
    expect(await real.nodes[this.node]?.db.queue.record(outcomes, [])).toEqual({ lost: [] });
    if (this.twice) expect(await real.nodes[this.node]?.db.queue.record(outcomes, [])).toEqual({ lost: [] });
    for (const recipient of some) {
      recipient.place = this.kind === 'retry' ? { kind: 'waiting' } : { kind: 'done' };
      recipient.crashes = 0;
    }
    await same(model, real);
  }
  toString = (): string => `record(${this.node}, ${this.kind}${this.twice ? ', twice' : ''})`;
}

/** The node is declared dead; what it held is free. It comes back under a new incarnation. */
class Crash implements fc.AsyncCommand<Model, Real> {
  constructor(
    readonly node: number,
    /** It was only cut off, and reports outcomes that nobody believes any more. */
    readonly reports: boolean,
  ) {}
  check = (): boolean => true;
  async run(model: Model, real: Real): Promise<void> {
    const held = leasedBy(model, this.node);
    const node = real.nodes[this.node];
    await real.pool.query('update node set stopped_at = now() where id = $1', [node?.owner]);
    await freeStoppedLeases(real.pool, 'another');
    for (const recipient of held) {
      recipient.crashes += 1;
      recipient.place = recipient.crashes >= MOST_CRASHES ? { kind: 'aside' } : { kind: 'waiting' };
    }
    if (this.reports && held.length > 0) {
      const outcomes = outcomesFor(held, 'done');
      const { lost } = (await node?.db.queue.record(outcomes, [])) ?? { lost: [] };
      expect([...lost].sort()).toEqual(held.map(({ id }) => id).sort());
    }
    const joined = node?.db.nodes.current;
    await joined?.heartbeat();
    if (node !== undefined) node.owner = joined?.nodeId ?? 0;
    await same(model, real);
  }
  toString = (): string => `crash(${this.node}${this.reports ? ', reports' : ''})`;
}

class Release implements fc.AsyncCommand<Model, Real> {
  constructor(readonly node: number) {}
  check = (model: Readonly<Model>): boolean => leasedBy(model, this.node).length > 0;
  async run(model: Model, real: Real): Promise<void> {
    const some = leasedBy(model, this.node).slice(0, 2);
    await real.nodes[this.node]?.db.queue.release(some.map(({ id, messageId }) => ({ recipientId: id, messageId })));
    for (const recipient of some)
      recipient.place = isSuspended(model, recipient) ? { kind: 'suspended' } : { kind: 'waiting' };
    await same(model, real);
  }
  toString = (): string => `release(${this.node})`;
}

const CHANGES = ['retry', 'hold', 'release', 'redirect', 'expire', 'drop'] as const;
type Outcome = 'changed' | 'unchanged' | 'refused' | 'busy' | 'gone';

class Operate implements fc.AsyncCommand<Model, Real> {
  constructor(
    readonly kind: (typeof CHANGES)[number],
    readonly first: number,
    readonly count: number,
    readonly node: number,
  ) {}
  check = (model: Readonly<Model>): boolean => model.recipients.size > 0;
  async run(model: Model, real: Real): Promise<void> {
    const all = [...model.recipients.values()];
    const some = Array.from(
      { length: Math.min(this.count, all.length) },
      (_, at) => all[(this.first + at) % all.length]!,
    );
    const wanted = some.map(({ id, messageId }) => ({ id, messageId, change: this.change() }));
    const result = await real.nodes[this.node]?.db.queueAdministration.change(wanted, { actor: 'ann' });
    const got = result?.ok === true ? result.recipients.map(({ outcome }) => outcome) : [];
    expect(got).toEqual(some.map((recipient) => this.apply(model, recipient)));
    await same(model, real);
  }

  change(): QueueChange {
    if (this.kind !== 'redirect') return { kind: this.kind };
    return { kind: 'redirect', address: 'moved@example.org', route: 'a' };
  }

  /** What the operator is told, and what becomes of it. */
  apply(model: Model, recipient: Recipient): Outcome {
    const { place } = recipient;
    if (place.kind === 'done') return 'gone';
    if (place.kind === 'leased') return 'busy';
    if (recipient.givenUp && this.kind !== 'drop') return 'refused';
    return this.changed(model, recipient);
  }

  changed(model: Model, recipient: Recipient): Outcome {
    const { place } = recipient;
    switch (this.kind) {
      case 'drop':
        return this.moved(recipient, { kind: 'done' });
      case 'hold':
        return place.kind === 'held' ? 'unchanged' : this.moved(recipient, { kind: 'held' }, recipient.crashes);
      case 'expire':
        recipient.givenUp = true;
        return this.moved(recipient, { kind: 'waiting' });
      case 'redirect':
        if (recipient.address === 'moved@example.org') return 'unchanged';
        recipient.address = 'moved@example.org';
        return this.moved(
          recipient,
          place.kind === 'held' ? place : { kind: 'waiting' },
          place.kind === 'held' ? recipient.crashes : 0,
        );
      case 'retry':
        return place.kind === 'held' ? 'refused' : this.retried(model, recipient);
      case 'release':
        if (place.kind !== 'held') return this.retried(model, recipient);
        return this.moved(recipient, isSuspended(model, recipient) ? { kind: 'suspended' } : { kind: 'waiting' });
    }
  }

  retried(model: Model, recipient: Recipient): Outcome {
    if (isSuspended(model, recipient)) return 'refused';
    return recipient.place.kind === 'waiting' ? 'unchanged' : this.moved(recipient, { kind: 'waiting' });
  }

  moved(recipient: Recipient, place: Place, crashes = 0): Outcome {
    recipient.place = place;
    recipient.crashes = crashes;
    return 'changed';
  }
  toString = (): string => `operate(${this.kind}, ${this.first}, ${this.count})`;
}

class Suspend implements fc.AsyncCommand<Model, Real> {
  constructor(readonly node: number) {}
  check = (): boolean => true;
  async run(model: Model, real: Real): Promise<void> {
    const destinations = real.nodes[this.node]?.db.destinations;
    const change = { domain: DOMAIN, actor: 'ann' };
    if (!model.suspended) {
      model.suspended = true;
      expect(await destinations?.suspend(change)).toBe(true);
      for (const recipient of waiting(model))
        if (isSuspended(model, recipient)) recipient.place = { kind: 'suspended' };
    } else {
      model.suspended = false;
      expect(await destinations?.resume(change)).toBe(true);
      for (const recipient of model.recipients.values())
        if (recipient.place.kind === 'suspended') recipient.place = { kind: 'waiting' };
      // The ramp is tested elsewhere.
      await real.pool.query(`update queue set next_attempt_at = now() where state = 'queued' and owner is null`);
    }
    await same(model, real);
  }
  toString = (): string => `suspendOrResume(${this.node})`;
}

const node = fc.constantFrom(...NODES);
const commands = fc.commands(
  [
    fc.tuple(node, fc.integer({ min: 1, max: 4 }), fc.boolean()).map((wishes) => new Accept(...wishes)),
    fc.tuple(node, fc.integer({ min: 1, max: 6 })).map((wishes) => new Claim(...wishes)),
    fc.tuple(node, fc.constantFrom('done', 'retry', 'expired'), fc.boolean()).map((wishes) => new Record(...wishes)),
    fc.tuple(node, fc.boolean()).map((wishes) => new Crash(...wishes)),
    node.map((which) => new Release(which)),
    fc
      .tuple(fc.constantFrom(...CHANGES), fc.nat(50), fc.integer({ min: 1, max: 5 }), node)
      .map((wishes) => new Operate(...wishes)),
    node.map((which) => new Suspend(which)),
  ],
  { maxCommands: 60, size: 'max' },
);

test('no recipient is lost, none is leased twice', async () => {
  const nodes: Node[] = [];
  for (const which of NODES) {
    const db = await openDatabase({ url: database.url });
    nodes.push({ db, owner: (await db.nodes.join(`node-${which}`)).nodeId });
  }
  const setup = async (): Promise<{ model: Model; real: Real }> => {
    await pool.query('delete from queue');
    await pool.query('delete from suspended_destination');
    return { model: { recipients: new Map(), suspended: false }, real: { pool, nodes } };
  };
  try {
    await fc.assert(
      fc.asyncProperty(commands, (run) => fc.asyncModelRun(setup, run)),
      { numRuns: 60, interruptAfterTimeLimit: 12_000 },
    );
  } finally {
    for (const { db } of nodes) await db.close();
  }
  const report = await verified();
  expect(report.faults).toEqual([]);
  expect(report.blocks).toBeGreaterThan(20);
}, 60_000);

/** The audit that all this wrote is in order, too. */
async function verified(): Promise<{ faults: readonly unknown[]; blocks: number }> {
  const db = await openDatabase({ url: database.url });
  try {
    return await db.audit.verify({ keys: new Map() });
  } finally {
    await db.close();
  }
}
