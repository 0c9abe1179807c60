/** The admin API in this process over a database of its own, on a free port, spoken to over HTTP. */
import type { NestExpressApplication } from '@nestjs/platform-express';
import type { AddressInfo } from 'node:net';
import { openDatabase, type Database, type SecretKeySource } from '#database';
import type { AdminApiParts } from '../../apps/admin-api/src/admin-api.module.js';
import { createAdminApi } from '../../apps/admin-api/src/create-app.js';
import { DatabaseAccess } from '../../apps/admin-api/src/database-access.js';
import { createLogger } from '../../apps/admin-api/src/logger.js';
import { createTestDatabase } from '../support/postgres.js';
import type { TestDatabase } from '../support/postgres.js';

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The parsed body; undefined when there is none. */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- tests look into answers of every shape
  readonly body: any;
}

export interface Ask {
  readonly method?: string;
  /** Sent as JSON, unless it is a string or octets. */
  readonly body?: unknown;
  readonly type?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** API key; null sends none. */
  readonly key?: string | null;
}

export const MAX_POLICY_BYTES = 256 * 1024;

/** A small policy with managed lists; `port` makes another document of it. */
export function smallPolicy(port = 2525, more = ''): string {
  return `# kept comment
policy: main
listeners:
  inside: { address: 127.0.0.1, port: ${port}, exposure: internal }
lists:
  ours: { type: domain, entries: [example.com, .example.com] }
  staff: { type: address, source: managed, within: { domain: ours } }
  blocked-senders: { type: address, source: managed, use: deny }
  blocked-networks: { type: network, source: managed, use: deny }
domains:
  - match: ours
    recipients: staff
acl:
  connect:
    - name: blocked-network
      when: { ip: blocked-networks }
      reject: 554 5.7.1 Network blocked
  mail:
    - name: blocked-sender
      when: { sender: blocked-senders }
      reject: 550 5.7.1 Sender blocked
routing:
  - name: all
    route: capture
routes:
  capture: { file: { format: maildir, directory: capture } }
${more}`;
}

export class ApiUnderTest {
  readonly url: string;
  readonly key: string;
  readonly viewerKey: string;
  readonly database: Database;
  readonly postgres: TestDatabase;
  readonly app: NestExpressApplication;

  private constructor(parts: Omit<ApiUnderTest, 'ask' | 'publish' | 'stop'>) {
    ({
      url: this.url,
      key: this.key,
      viewerKey: this.viewerKey,
      database: this.database,
      postgres: this.postgres,
      app: this.app,
    } = parts);
  }

  static async start(settings: { secretKeys?: SecretKeySource } = {}): Promise<ApiUnderTest> {
    const postgres = await createTestDatabase();
    const database = await openDatabase({ url: postgres.url, ...settings });
    const admin = await database.apiKeys.create({ name: 'tester', role: 'admin', actor: 'test' });
    const viewer = await database.apiKeys.create({ name: 'reader', role: 'viewer', actor: 'test' });
    const access = new DatabaseAccess(database);
    const { app, url } = await listening(access);
    return new ApiUnderTest({ url, key: admin.secret, viewerKey: viewer.secret, database, postgres, app });
  }

  async ask(path: string, ask: Ask = {}): Promise<Answer> {
    return send(this.url, path, { key: this.key, ...ask });
  }

  /** Publishes whatever is live, and resolves with the new revision. */
  async publish(source: string): Promise<number> {
    const nothingYet = (await this.database.policies.liveRelease()) === undefined;
    const headers: Record<string, string> = nothingYet ? { 'If-None-Match': '*' } : { 'If-Match': '*' };
    const answer = await this.ask('/v1/policies/main', {
      method: 'PUT',
      body: source,
      type: 'application/yaml',
      headers,
    });
    if (answer.status !== 200) throw new Error(`refused: ${answer.text}`);
    return answer.body.revision as number;
  }

  async stop(): Promise<void> {
    await this.app.close();
    await this.database.close();
    await this.postgres.drop();
  }
}

/** The application on a free port, over whatever database access is given. */
export async function listening(
  access: DatabaseAccess,
  more: Pick<AdminApiParts, 'evidence' | 'requiredApprovals'> & { readonly maxRequestsPerSecond?: number } = {},
): Promise<{ app: NestExpressApplication; url: string }> {
  const logger = createLogger(process.env['TEST_LOG_LEVEL'] ?? 'silent', 'admin-api');
  const app = await createAdminApi({ database: access, logger, maxPolicyBytes: MAX_POLICY_BYTES, ...more });
  await app.listen(0, '127.0.0.1');
  const { port } = app.getHttpServer().address() as AddressInfo;
  return { app, url: `http://127.0.0.1:${port}` };
}

export async function send(url: string, path: string, ask: Ask): Promise<Answer> {
  const asIs = typeof ask.body === 'string' || ask.body instanceof Uint8Array;
  const body = ask.body === undefined || asIs ? ask.body : JSON.stringify(ask.body);
  const response = await fetch(new URL(path, url), {
    method: ask.method ?? 'GET',
    headers: {
      ...(typeof ask.key === 'string' && { Authorization: `Bearer ${ask.key}` }),
      ...(body !== undefined && { 'Content-Type': ask.type ?? 'application/json' }),
      ...ask.headers,
    },
    ...(body !== undefined && { body: body as NonNullable<RequestInit['body']> }),
    signal: AbortSignal.timeout(20_000),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, body: parsed(text) };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** What every refusal must look like, whoever caused it. */
export function expectProblem(answer: Answer, status: number, key: string): void {
  const { type, title, detail, trace } = (answer.body ?? {}) as Record<string, unknown>;
  const shown = { status: answer.status, type, contentType: answer.headers.get('content-type')?.split(';')[0] };
  const wanted = { status, type: `urn:postern:problem:${key}`, contentType: 'application/problem+json' };
  if (JSON.stringify(shown) !== JSON.stringify(wanted)) {
    throw new Error(`expected ${JSON.stringify(wanted)}, got ${JSON.stringify(shown)}: ${answer.text}`);
  }
  if (typeof title !== 'string' || typeof detail !== 'string' || !/^req_[0-9A-Z]{26}$/u.test(String(trace))) {
    throw new Error(`not a whole problem: ${answer.text}`);
  }
  if (/node_modules|\.[jt]s:\d+|\bat .*\(|select |insert |postgres/iu.test(answer.text)) {
    throw new Error(`tells too much: ${answer.text}`);
  }
}
