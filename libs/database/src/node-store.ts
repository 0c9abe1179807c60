/**
 * Gateways that are alive. Each start is an incarnation with an id of its own; leases in the queue belong to it. The
 * name is held by an advisory lock on a connection kept for life, so two live processes never share one.
 *
 * An incarnation that does not beat for 20 s is dead: the others give its leases back to the queue. It may be only
 * cut off: then it finds itself `stopped` at its next beat, and goes on under a new id, its old leases lost.
 */
import { Client, type Pool } from 'pg';
import { clientSettings, query } from './connections.js';
import type { DatabaseConfig } from './database-config.js';
import { freeStoppedLeases } from './lease-takeover.js';
import { OperationalError, toOperationalError } from './operational-error.js';
import { requireCurrentSchema } from './schema-guard.js';
import type { NodeFigures, NodeStatus } from './types.js';
import type { Watch } from './watch.js';

const BEAT_MS = 5_000;
const ALIVE_SECONDS = 20;
/** The server's restart stops every beat: nobody is declared dead until all had time to beat again. */
const GRACE_AFTER_RESTART_SECONDS = 30;
/** A killed predecessor's connection may linger for a moment. */
const NAME_WAIT_MS = 3_000;
const HOUSEKEEPING_MS = 60_000;

/** Marks nodes as stopped that are dead for sure: same name (we hold its lock), or silent too long. */
const DECLARE_DEAD = `
  update node set stopped_at = now() where stopped_at is null and id <> $1
    and (name = $2 or (alive_until < now() and pg_postmaster_start_time() < now() - interval '${GRACE_AFTER_RESTART_SECONDS} seconds'))`;

/** Names seen within a day; the newest incarnation of each. */
const LIST = `
  select distinct on (n.name) n.id, n.name, n.started_at, n.stopped_at, n.policy_revision, n.policy_digest,
    n.refused_revision, n.refused_reason, n.limits_alone_since, n.draining, n.sessions, n.jobs, n.last_error, n.last_error_at,
    d.actor as drain_actor, d.reason as drain_reason, d.asked_at as drain_at,
    n.stopped_at is null and n.alive_until >= now() as alive
  from node n left join gateway_drain d on d.name = n.name
  where n.stopped_at is null or n.alive_until > now() - interval '1 day' order by n.name, n.id desc`;

interface NodeRow {
  [column: string]: unknown;
  id: number;
  name: string;
  started_at: Date;
  stopped_at: Date | null;
  policy_revision: number | null;
  policy_digest: string | null;
  refused_revision: number | null;
  refused_reason: string | null;
  limits_alone_since: Date | null;
  draining: boolean;
  sessions: number | null;
  jobs: number | null;
  last_error: string | null;
  last_error_at: Date | null;
  drain_actor: string | null;
  drain_reason: string | null;
  drain_at: Date | null;
  alive: boolean;
}

export interface NodeOptions {
  readonly pool: Pool;
  readonly config: DatabaseConfig;
  readonly watch: Watch;
  /** Partitions, expired entries: what some live node must do every minute. */
  readonly housekeeping: () => Promise<void>;
}

export class NodeStore {
  readonly #options: NodeOptions;
  #current: JoinedNode | undefined;

  constructor(options: NodeOptions) {
    this.#options = options;
  }

  /** This process as a gateway, once it joined. */
  get current(): JoinedNode | undefined {
    return this.#current;
  }

  /** This process's incarnation, null before join(). */
  get owner(): number | null {
    return this.#current?.nodeId ?? null;
  }

  /**
   * Enters the cluster under `name`; takes over what a dead predecessor of that name left at once. Throws
   * OperationalError `node-name-taken`, or `unfit-database` when the schema is not this program's.
   */
  async join(name: string): Promise<JoinedNode> {
    if (this.#current !== undefined) throw new Error(`this process has already joined as \`${this.#current.name}\``);
    const node = new JoinedNode(name, this.#options, () => {
      this.#current = undefined;
    });
    await node.start();
    this.#current = node;
    return node;
  }

  /** Gateways that are alive, or were within a day, by name. */
  async list(): Promise<readonly NodeStatus[]> {
    const { rows } = await query<NodeRow>(this.#options.pool, { text: LIST });
    return rows.map(statusOf);
  }

  async close(): Promise<void> {
    await this.#current?.leave();
  }
}

export class JoinedNode {
  readonly name: string;
  readonly #options: NodeOptions;
  readonly #left: () => void;
  readonly #lostListeners = new Set<(error: OperationalError) => void>();
  #client: Client | undefined;
  #id = 0;
  #timer: NodeJS.Timeout | undefined;
  #beating: Promise<void> | undefined;
  #lastBeatMs = Number.NEGATIVE_INFINITY;
  #lastHousekeepingMs = Number.NEGATIVE_INFINITY;
  #stopHealth: (() => void) | undefined;
  /** Leases of stopped nodes were looked for since the last one stopped. */
  #straysSought = false;
  #ended = false;
  #policy: { readonly revision: number; readonly digest: string } | undefined;
  #refused: NodeStatus['refused'];
  #limitsAloneSince: Date | undefined;
  #figures: (() => NodeFigures) | undefined;

  constructor(name: string, options: NodeOptions, left: () => void) {
    this.name = name;
    this.#options = options;
    this.#left = left;
  }

  /** Owner of this process's leases. Changes when the node was declared dead and came back. */
  get nodeId(): number {
    return this.#id;
  }

  /** False when the last beat is so old that another node may already work on our leases: attempt nothing new. */
  get alive(): boolean {
    return performance.now() - this.#lastBeatMs < ALIVE_SECONDS * 1000;
  }

  /** Another live process took the name while we were cut off: this one should stop. */
  onNameLost(listener: (error: OperationalError) => void): void {
    this.#lostListeners.add(listener);
  }

  /** Called by NodeStore.join(). */
  async start(): Promise<void> {
    await this.#connect();
    await this.#begin();
    this.#stopHealth = this.#options.watch.onHealth((healthy) => {
      if (healthy) void this.heartbeat().catch(ignore);
    });
    this.#timer = setInterval(() => void this.heartbeat().catch(ignore), BEAT_MS);
    this.#timer.unref();
    await this.heartbeat();
  }

  /** Beats now; it also beats by itself every 5 s. Throws OperationalError while the database is away. */
  async heartbeat(): Promise<void> {
    if (this.#ended) return;
    this.#beating ??= this.#beat().finally(() => {
      this.#beating = undefined;
    });
    await this.#beating;
  }

  /** Tells which policy this node judges by; shown by NodeStore.list(). Repeated with every beat until it is stored. */
  reportPolicy(revision: number, digest: string): void {
    this.#policy = { revision, digest };
    this.#tellSoon();
  }

  /** Tells which released policy this node does not take, and why; undefined when that is over. Repeated likewise. */
  reportRefusal(refused: NodeStatus['refused']): void {
    this.#refused = refused;
    this.#tellSoon();
  }

  /** Asked with every beat. */
  reportFigures(figures: () => NodeFigures): void {
    this.#figures = figures;
  }

  /** The figures have changed so that somebody waits for it. */
  tellFigures(): void {
    this.#tellSoon();
  }

  /** Tells since when this node can not share its counts of limits; undefined when that is over. Repeated likewise. */
  reportLimitsAlone(since: Date | undefined): void {
    this.#limitsAloneSince = since;
    this.#tellSoon();
  }

  /** A beat that is under way may have read what is told no longer: the next one follows it. */
  #tellSoon(): void {
    void (this.#beating ?? Promise.resolve())
      .catch(ignore)
      .then(() => this.heartbeat())
      .catch(ignore);
  }

  /** Gives all leases back and frees the name. */
  async leave(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    clearInterval(this.#timer);
    this.#stopHealth?.();
    await this.#beating?.catch(ignore);
    const client = this.#client;
    this.#client = undefined;
    try {
      await client?.query('update queue set owner = null, next_attempt_at = now() where owner = $1', [this.#id]);
      await client?.query('update node set stopped_at = now(), alive_until = now() where id = $1', [this.#id]);
    } catch {
      // Whoever comes next takes the leases over.
    } finally {
      await client?.end().catch(ignore);
      this.#left();
    }
  }

  async #connect(): Promise<void> {
    const client = new Client(clientSettings(this.#options.config, this.#options.config.statementTimeoutMs));
    const gone = (): void => {
      if (this.#client === client) this.#client = undefined;
    };
    client.on('error', gone);
    client.on('end', gone);
    try {
      await client.connect();
      await requireCurrentSchema(client);
      await this.#lockName(client);
    } catch (error) {
      void client.end().catch(ignore);
      throw toOperationalError(error, false);
    }
    this.#client = client;
  }

  async #lockName(client: Client): Promise<void> {
    const deadlineMs = performance.now() + NAME_WAIT_MS;
    for (;;) {
      const { rows } = await client.query<{ locked: boolean }>(
        `select pg_try_advisory_lock(hashtextextended('postern.node.' || $1, 0)) as locked`,
        [this.name],
      );
      if (rows[0]?.locked === true) return;
      if (performance.now() > deadlineMs) {
        throw new OperationalError(
          'node-name-taken',
          `another live process uses the node name \`${this.name}\`; give each gateway its own`,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  async #begin(): Promise<void> {
    const { rows } = await this.#connected().query<{ id: number }>(
      `insert into node (name, alive_until) values ($1, now() + interval '${ALIVE_SECONDS} seconds') returning id`,
      [this.name],
    );
    this.#id = rows[0]?.id ?? 0;
    // Rows of earlier incarnations of this name, also of those declared dead before.
    this.#straysSought = false;
  }

  async #beat(): Promise<void> {
    try {
      if (this.#client === undefined) await this.#connect();
      const { rowCount } = await this.#connected().query(
        `update node set alive_until = now() + interval '${ALIVE_SECONDS} seconds', policy_revision = $2, policy_digest = $3,
           refused_revision = $4, refused_reason = $5, limits_alone_since = $6, draining = $7, sessions = $8, jobs = $9,
           last_error = $10, last_error_at = $11
         where id = $1 and stopped_at is null`,
        [this.#id, ...this.#reported(), ...figureValues(this.#figures?.())],
      );
      if (rowCount === 0) await this.#begin();
      this.#lastBeatMs = performance.now();
      await this.#takeOver();
      await this.#keepHouse();
    } catch (error) {
      const failure = toOperationalError(error);
      if (failure.code === 'node-name-taken') for (const listener of this.#lostListeners) listener(failure);
      throw failure;
    }
  }

  /** What it was told to tell, in the order of the statement. */
  #reported(): unknown[] {
    const { revision = null, digest = null } = this.#policy ?? {};
    return [
      revision,
      digest,
      this.#refused?.revision ?? null,
      this.#refused?.reason ?? null,
      this.#limitsAloneSince ?? null,
    ];
  }

  async #takeOver(): Promise<void> {
    const { rowCount } = await this.#connected().query(DECLARE_DEAD, [this.#id, this.name]);
    if (rowCount !== 0) this.#straysSought = false;
    if (this.#straysSought) return;
    await freeStoppedLeases(this.#options.pool, this.name);
    this.#straysSought = true;
  }

  async #keepHouse(): Promise<void> {
    if (performance.now() - this.#lastHousekeepingMs < HOUSEKEEPING_MS) return;
    this.#lastHousekeepingMs = performance.now();
    // Also what a node wrote that did not know yet that it was declared dead.
    await freeStoppedLeases(this.#options.pool, this.name);
    await this.#options.housekeeping();
  }

  #connected(): Client {
    if (this.#client === undefined) throw new OperationalError('database-unavailable', 'no connection to the database');
    return this.#client;
  }
}

function figureValues(figures: NodeFigures | undefined): unknown[] {
  const { draining = false, sessions, jobs, lastError } = figures ?? {};
  return [draining, sessions ?? null, jobs ?? null, lastError?.message ?? null, lastError?.at ?? null];
}

function statusOf(row: NodeRow): NodeStatus {
  const { drain_actor: actor, drain_reason: reason, drain_at: since } = row;
  return {
    nodeId: row.id,
    name: row.name,
    alive: row.alive,
    startedAt: row.started_at,
    ...(row.stopped_at === null ? {} : { stoppedAt: row.stopped_at }),
    ...(row.policy_revision === null ? {} : { revision: row.policy_revision }),
    ...(row.policy_digest === null ? {} : { digest: row.policy_digest }),
    ...(row.refused_revision === null
      ? {}
      : { refused: { revision: row.refused_revision, reason: row.refused_reason ?? '' } }),
    ...(row.limits_alone_since === null ? {} : { limitsAloneSince: row.limits_alone_since }),
    ...(actor === null || since === null ? {} : { drain: { actor, since, ...(reason === null ? {} : { reason }) } }),
    ...(row.sessions === null ? {} : { figures: figuresOf(row) }),
  };
}

function figuresOf({ draining, sessions, jobs, last_error: message, last_error_at: at }: NodeRow): NodeFigures {
  return {
    draining,
    sessions: sessions ?? 0,
    jobs: jobs ?? 0,
    ...(message === null || at === null ? {} : { lastError: { message, at } }),
  };
}

function ignore(): void {
  // The next beat tries again.
}
