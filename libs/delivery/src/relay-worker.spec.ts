/** The worker against a model of the queue, over random worlds: no recipient is lost, none is ended twice. */
import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { RecipientResult } from '#smtp-core';
import type {
  ConnectResult,
  OutboundConnection,
  OutboundMessage,
  QueuedMessage,
  QueueStore,
  RelayEnvironment,
  RouteDefinition,
  Transport,
} from './index.js';
import { RelayWorker } from './index.js';

const route: RouteDefinition = {
  kind: 'hosts',
  hosts: [
    { host: '192.0.2.1', port: 25, priority: 1, weight: 1 },
    { host: '192.0.2.2', port: 25, priority: 2, weight: 1 },
  ],
  retry: { firstMs: 1, factor: 1, longestMs: 2, giveUpMs: 600_000 },
  maxConnections: 2,
};

interface Row {
  readonly message: Omit<QueuedMessage, 'recipients'>;
  readonly address: string;
  owner: number | undefined;
  dueAtMs: number;
  attempts: number;
  ends: number;
}

/** The promises of QueueStore, in memory. Nodes may die; their leases are then free. */
class QueueModel {
  readonly rows = new Map<string, Row>();
  readonly alive = new Set<number>();

  constructor(private readonly chance: () => number) {}

  add(message: QueuedMessage, owner: number | undefined): void {
    const { recipients, ...rest } = message;
    for (const { id, address } of recipients)
      this.rows.set(id, { message: rest, address, owner, dueAtMs: 0, attempts: 0, ends: 0 });
  }

  kill(node: number): void {
    this.alive.delete(node);
    for (const row of this.rows.values()) if (row.owner === node) row.owner = undefined;
  }

  get open(): number {
    return [...this.rows.values()].filter((row) => row.ends === 0).length;
  }

  view(node: number): QueueStore {
    return {
      claim: async (limit) => {
        await this.#network(node);
        const due = [...this.rows].filter(
          ([, row]) => row.ends === 0 && row.owner === undefined && row.dueAtMs <= Date.now(),
        );
        return due.slice(0, limit).map(([id, row]) => {
          row.owner = node;
          return { ...row.message, recipients: [{ id, address: row.address, route: 'out', attempts: row.attempts }] };
        });
      },
      record: async (outcomes) => {
        await this.#network(node);
        const own = outcomes.filter(({ recipientId }) => this.rows.get(recipientId)?.owner === node);
        for (const outcome of own) {
          const row = this.rows.get(outcome.recipientId)!;
          row.owner = undefined;
          row.attempts += 1;
          if (outcome.kind === 'done') row.ends += 1;
          else row.dueAtMs = outcome.nextAttemptAtMs;
        }
        return { lost: outcomes.filter((outcome) => !own.includes(outcome)).map(({ recipientId }) => recipientId) };
      },
      release: async (leases) => {
        await this.#network(node);
        for (const { recipientId, pauseMs = 0 } of leases) {
          const row = this.rows.get(recipientId)!;
          if (row.owner !== node) continue;
          row.owner = undefined;
          row.dueAtMs = Date.now() + pauseMs;
        }
      },
    };
  }

  async #network(node: number): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    if (!this.alive.has(node)) throw Object.assign(new Error('node is dead'), { retryable: false });
    if (this.chance() < 0.1) throw Object.assign(new Error('database is away'), { retryable: true });
  }
}

/** Next hops that answer, refuse, defer and vanish at random; what was answered with 250 is remembered. */
class World implements Transport {
  readonly delivered = new Set<string>();
  readonly refused = new Set<string>();
  kind = false;

  constructor(private readonly chance: () => number) {}

  async connect(): Promise<ConnectResult> {
    await new Promise((resolve) => setImmediate(resolve));
    if (!this.kind && this.chance() < 0.1) {
      return {
        ok: false,
        fault: { stage: 'connect', reason: 'unreachable', progress: 'none', enhanced: '4.4.1', message: 'refused' },
      };
    }
    return { ok: true, connection: new Hop(this, this.chance) };
  }

  abort(): void {
    // Connections of the model end by themselves.
  }
}

class Hop implements OutboundConnection {
  readonly pipelining = true;
  readonly dsn = false;
  usable = true;
  completed = 0;
  readonly #listeners: (() => void)[] = [];

  constructor(
    private readonly world: World,
    private readonly chance: () => number,
  ) {}

  async send(message: OutboundMessage): Promise<{ recipients: RecipientResult[] }> {
    await new Promise((resolve) => setImmediate(resolve));
    const wasUsable = this.usable;
    if (!this.world.kind && this.chance() < 0.1) this.destroy();
    return { recipients: message.recipients.map((address) => this.#answer(address, wasUsable)) };
  }

  #answer(address: string, wasUsable: boolean): RecipientResult {
    const dice = this.world.kind ? 1 : this.chance();
    if (!wasUsable || !this.usable) {
      const fault = {
        stage: 'mail',
        reason: 'lost',
        progress: dice < 0.5 ? 'none' : 'sent',
        enhanced: '4.4.2',
        message: 'lost',
      } as const;
      return { address, stage: 'mail', fault };
    }
    this.completed += 1;
    if (dice < 0.1) this.world.refused.add(address);
    if (dice < 0.1) return { address, stage: 'rcpt', reply: { code: 550, lines: ['no'] } };
    if (dice < 0.3) return { address, stage: 'rcpt', reply: { code: 451, lines: ['later'] } };
    this.world.delivered.add(address);
    return { address, stage: 'content', reply: { code: 250, lines: ['ok'] } };
  }

  quit(): void {
    this.destroy();
  }

  destroy(): void {
    this.usable = false;
    for (const listener of this.#listeners.splice(0)) setImmediate(listener);
  }

  onClose(listener: () => void): void {
    this.#listeners.push(listener);
  }
}

class Nodes {
  readonly workers = new Map<number, RelayWorker>();
  readonly ending: Promise<void>[] = [];
  suspended = false;
  #count = 0;

  constructor(
    private readonly queue: QueueModel,
    private readonly world: World,
    private readonly chance: () => number,
  ) {}

  start(): number {
    const node = (this.#count += 1);
    this.queue.alive.add(node);
    let id = 0;
    const environment: RelayEnvironment = {
      clock: { nowMs: () => Date.now() },
      random: this.chance,
      newId: () => `event-${String(node)}-${String((id += 1))}`,
      sha256Hex: () => '',
      appendEvents: () => undefined,
      routeNotice: () => undefined,
      noticeRules: () => undefined,
      isSuspended: () => this.suspended,
      gateways: () => 1,
      readHead: () => Promise.resolve(new Uint8Array()),
      isSelf: () => false,
      warn: () => undefined,
    };
    const resolver = {
      mx: () => Promise.resolve({ kind: 'none' as const }),
      addresses: () => Promise.resolve({ kind: 'none' as const }),
    };
    const worker = new RelayWorker(
      { hostname: 'gw.test', pollIntervalMs: 2, maxHeldBytes: 20_000, claimLimit: 5 },
      {
        queue: this.queue.view(node),
        routes: { route: () => ({ definition: route, revision: 1 }) },
        resolver,
        transport: this.world,
        files: { deliver: () => Promise.resolve([]) },
        environment,
      },
    );
    worker.start();
    this.workers.set(node, worker);
    return node;
  }

  /** An operator wants some mail back from memory, or suspends; or a node ends. */
  trouble(node: number, kind: 'crash' | 'stop' | 'recall' | 'suspend' | 'resume'): void {
    if (kind === 'crash' || kind === 'stop') this.end(node, kind === 'crash');
    else if (kind === 'recall') this.workers.get(node)?.recall(() => this.chance() < 0.5, 3);
    else this.suspend(kind === 'suspend');
  }

  suspend(suspended: boolean): void {
    this.suspended = suspended;
    for (const worker of this.workers.values()) worker.recallSuspended();
  }

  end(node: number, crashed: boolean): void {
    const worker = this.workers.get(node);
    if (worker === undefined) return;
    this.workers.delete(node);
    if (crashed) this.queue.kill(node);
    this.ending.push(worker.stop(crashed ? 0 : 500).then(() => this.queue.kill(node)));
  }
}

const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('accept' as const),
      recipients: fc.integer({ min: 1, max: 5 }),
      leased: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom(...(['crash', 'stop', 'start', 'wait', 'recall', 'recall', 'suspend', 'resume'] as const)),
    }),
  },
);

/** Even and repeatable: fast-check's own numbers favour the extremes. */
function dice(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

async function until(condition: () => boolean): Promise<void> {
  const end = Date.now() + 8_000;
  while (!condition()) {
    if (Date.now() > end) throw new Error('the queue did not drain');
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

it('never loses a recipient, whatever crashes, stops, refuses, hangs up, or is called back', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 25 }), fc.integer(), async (steps, seed) => {
      const chance = dice(seed);
      const queue = new QueueModel(chance);
      const world = new World(chance);
      const nodes = new Nodes(queue, world, chance);
      nodes.start();
      nodes.start();
      let count = 0;
      for (const one of steps) {
        const [node] = nodes.workers.keys();
        if (one.kind === 'accept') {
          count += 1;
          const id = `m${String(count)}`;
          const recipients = Array.from({ length: one.recipients }, (_, at) => ({
            id: `${id}-${String(at)}`,
            address: `${id}-${String(at)}@x.test`,
            route: 'out',
            attempts: 0,
          }));
          const content = { kind: 'inline' as const, bytes: new Uint8Array(2000) };
          const message = {
            id,
            sender: 'a@x.test',
            content,
            sizeBytes: 2000,
            body8bit: false,
            policyRevision: 1,
            acceptedAtMs: Date.now(),
            recipients,
          };
          queue.add(message, one.leased ? node : undefined);
          if (one.leased && node !== undefined) nodes.workers.get(node)?.offer(message);
        } else if (one.kind === 'start') nodes.start();
        else if (one.kind === 'wait') await new Promise((resolve) => setTimeout(resolve, 2));
        else if (node !== undefined) nodes.trouble(node, one.kind);
      }
      world.kind = true;
      nodes.suspend(false);
      nodes.start();
      await until(() => queue.open === 0);
      for (const node of [...nodes.workers.keys()]) nodes.end(node, false);
      await Promise.all(nodes.ending);
      for (const row of queue.rows.values()) {
        expect(row.ends).toBe(1);
        expect(world.delivered.has(row.address) || world.refused.has(row.address)).toBe(true);
      }
    }),
    { numRuns: 25, endOnFailure: true },
  );
}, 60_000);
