/** A relay with real parts around it for specs: PostgreSQL, scripted next hops on sockets, a directory for Maildirs. */
import { afterAll, afterEach, beforeAll, beforeEach } from '@jest/globals';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { newId, openDatabase } from '#database';
import type { Database } from '#database';
import type {
  ContentSource,
  MessageToStore,
  NoticeRouting,
  NoticeRules,
  RetryProfile,
  RouteDefinition,
  RouteHost,
  SmtpRoute,
} from '#delivery';
import type { Revealed } from '../../apps/gateway/src/relay/credentials.js';
import type { SmtpTimeouts } from '#smtp-net';
import { RelayRunner } from '../../apps/gateway/src/relay/relay-runner.js';
import { makeMessage } from '../database/message.js';
import type { MessageWishes } from '../database/message.js';
import { ForeignMx } from './foreign-mx.js';
import type { MxScript } from './foreign-mx.js';
import { createTestDatabase } from './postgres.js';
import type { TestDatabase } from './postgres.js';
import { waitFor } from './wait.js';

export const FAST: RetryProfile = { firstMs: 30, factor: 1, longestMs: 30, giveUpMs: 600_000 };
const SHORT = {
  connectMs: 1000,
  bannerMs: 200,
  ehloMs: 200,
  tlsMs: 300,
  authMs: 300,
  mailMs: 200,
  rcptMs: 200,
  dataMs: 200,
  blockMs: 400,
  contentMs: 200,
  quitMs: 200,
};

export interface StoryRow {
  [column: string]: unknown;
  kind: string;
  recipient: string | null;
  data: Record<string, unknown> & { stage?: string; reply?: string };
}

function scaled(factor: number): Partial<SmtpTimeouts> {
  const scaledTo: Record<string, number> = {};
  for (const [name, timeoutMs] of Object.entries(SHORT)) scaledTo[name] = timeoutMs * factor;
  return scaledTo;
}

async function connected(url: string): Promise<Client> {
  const client = new Client({ connectionString: url });
  await client.connect();
  return client;
}

/** `kind stage`, event by event. */
export function told(rows: readonly StoryRow[]): string[] {
  return rows.map(({ kind, data }) => (data.stage === undefined ? kind : `${kind} ${data.stage}`));
}

export function hostAt(port: number, priority = 10, weight = 1): RouteHost {
  return { host: '127.0.0.1', port, priority, weight };
}

export function hosts(list: readonly RouteHost[], retry = FAST, extra: Partial<SmtpRoute> = {}): RouteDefinition {
  return { maxConnections: 20, ...extra, kind: 'hosts', hosts: list, retry };
}

export class RelayHarness {
  /** Routes in force; replace an entry as a published policy would. */
  routes: Record<string, RouteDefinition> = {};
  /** Where bounces go; undefined when the policy routes nothing to their recipient. */
  bounceRoute: NoticeRouting | undefined;
  /** What the policy says about notices. */
  noticeRules: NoticeRules | undefined;
  directory = '';
  /** Domains that an operator has suspended. */
  readonly suspended = new Set<string>();
  /** The secret store. */
  readonly secrets = new Map<string, string>();
  /** Longer ones for specs that play much at a time. */
  timeoutFactor = 1;
  /** What the relay would have logged. */
  readonly warnings: string[] = [];
  readonly #foreign: ForeignMx[] = [];
  #server: TestDatabase | undefined;
  #client: Promise<Client> | undefined;
  #db: Database | undefined;
  #runner: RelayRunner | undefined;

  get server(): TestDatabase {
    if (this.#server === undefined) throw new Error('the harness has no database yet');
    return this.#server;
  }

  /** On one connection that is kept: specs ask often. */
  async #query<R extends Record<string, unknown>>(text: string, values: unknown[]): Promise<R[]> {
    this.#client ??= connected(this.server.url);
    return (await (await this.#client).query<R>(text, values)).rows;
  }

  get db(): Database {
    if (this.#db === undefined) throw new Error('the harness is not open yet');
    return this.#db;
  }

  get runner(): RelayRunner {
    if (this.#runner === undefined) throw new Error('the harness is not open yet');
    return this.#runner;
  }

  async create(): Promise<void> {
    this.#server = await createTestDatabase();
  }

  async open(): Promise<void> {
    this.#db = await openDatabase({ url: this.server.url });
    await this.#db.nodes.join('relay');
    this.directory = await mkdtemp(join(tmpdir(), 'relay-'));
    const directory = join(this.directory, 'bounces');
    this.routes = { bounces: { kind: 'file', format: 'maildir', directory, retry: FAST, maxConnections: 4 } };
    const snapshot = { policy: 'main', revision: 7, digest: 'sha256:00', lists: {} };
    const by = 'routing/bounces';
    this.bounceRoute = { route: 'bounces', address: 'ann@example.com', policyRevision: 7, snapshot, by, facts: {} };
    this.start();
  }

  async close(): Promise<void> {
    await this.runner.stop(2000);
    await (await this.#client)?.end();
    this.#client = undefined;
    for (const mx of this.#foreign.splice(0)) await mx.close();
    await this.server.query('delete from queue');
    await this.db.close();
    await rm(this.directory, { recursive: true });
  }

  /** A relay over the same queue; the one before must have been stopped. */
  start(dnsServer?: string): void {
    const dns = dnsServer === undefined ? {} : { dns: { servers: [dnsServer] } };
    this.#runner = new RelayRunner(
      {
        hostname: 'gw.test',
        timeouts: scaled(this.timeoutFactor),
        pollIntervalMs: 25,
        certificateDir: join(this.directory, 'certificates'),
        ...dns,
      },
      {
        queue: this.db.queue,
        routes: { route: (name) => this.#route(name) },
        secrets: { reveal: (name) => Promise.resolve(this.#secret(name)) },
        newId,
        appendEvents: (events) => void this.db.audit.append(events),
        routeNotice: () => this.bounceRoute,
        noticeRules: () => this.noticeRules,
        isSuspended: (domain) => this.suspended.has(domain),
        isSelf: (host) => host === 'gw.test',
        warn: (message) => void this.warnings.push(message),
      },
    );
    this.#runner.start();
  }

  #secret(name: string): Revealed {
    const value = this.secrets.get(name);
    return value === undefined ? { ok: false, message: 'there is no such secret' } : { ok: true, value };
  }

  async remote(script: MxScript = {}): Promise<ForeignMx> {
    const mx = await ForeignMx.listen(script);
    this.#foreign.push(mx);
    return mx;
  }

  /** Committed and handed over from memory, as the gateway does it. */
  async accept(wishes: MessageWishes = {}, content?: ContentSource): Promise<MessageToStore> {
    const made = makeMessage({ route: 'out', leased: true, ...wishes });
    const message = content === undefined ? made : { ...made, content };
    await this.db.messages.accept(message);
    const recipients = message.recipients.map((recipient) => ({ ...recipient, attempts: 0 }));
    this.runner.offer({ ...message, recipients, acceptedAtMs: Date.now() });
    return message;
  }

  async story(id: string): Promise<StoryRow[]> {
    await this.db.audit.flush();
    return this.#query<StoryRow>(
      `select kind, recipient, data from audit_event
       where transaction_id = $1 and (kind like 'delivery.%' or kind like 'bounce.%' or kind like 'notice.%') order by id`,
      [id],
    );
  }

  async allEnded(messages: readonly MessageToStore[], deadlineMs = 15_000): Promise<void> {
    const ids = messages.map(({ id }) => id);
    const left = 'select from queue where message_id = any($1)';
    await waitFor('the end of the messages', async () => (await this.#query(left, [ids])).length === 0, {
      deadlineMs,
    });
  }

  /** Waits until nothing of the message is queued, then tells what happened. */
  async ended(id: string): Promise<StoryRow[]> {
    const left = 'select from queue where message_id = $1';
    await waitFor('the end of the message', async () => (await this.#query(left, [id])).length === 0);
    return this.story(id);
  }

  async bounces(): Promise<string[]> {
    const box = join(this.directory, 'bounces', 'new');
    return waitFor('a bounce', async () => {
      const names = await readdir(box);
      return names.length > 0 && Promise.all(names.map((name) => readFile(join(box, name), 'utf8')));
    });
  }

  #route(name: string): { definition: RouteDefinition; revision: number } | undefined {
    const definition = this.routes[name];
    return definition === undefined ? undefined : { definition, revision: 7 };
  }
}

/** Opened before and closed after each test of the spec that calls it. */
export function useRelay(): RelayHarness {
  const harness = new RelayHarness();
  beforeAll(() => harness.create());
  afterAll(() => harness.server.drop());
  beforeEach(() => harness.open());
  afterEach(() => harness.close());
  return harness;
}
