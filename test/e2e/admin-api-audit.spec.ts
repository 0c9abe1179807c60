/** The proof of the audit over HTTP: keys and checkpoints from a data directory, the report, and mail sent twice. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { evidenceIn } from '../../apps/admin-api/src/audit-evidence.js';
import { DatabaseAccess } from '../../apps/admin-api/src/database-access.js';
import { Checkpointer } from '../../apps/gateway/src/audit/checkpointer.js';
import { loadSigningKey } from '../../apps/gateway/src/audit/signing-key.js';
import { createLogger } from '../../apps/gateway/src/log.js';
import { publicId } from '#audit';
import { openDatabase } from '#database';
import { makeMessage } from '../database/message.js';
import { ApiUnderTest, expectProblem, listening, send, type Answer } from './admin-api-support.js';

const dataDir = mkdtempSync(join(tmpdir(), 'postern-evidence-'));
let api: ApiUnderTest;
let withEvidence: Awaited<ReturnType<typeof listening>>;
let checkpointer: Checkpointer;
let gateway: Awaited<ReturnType<typeof openDatabase>>;

beforeAll(async () => {
  api = await ApiUnderTest.start();
  withEvidence = await listening(new DatabaseAccess(api.database), { evidence: evidenceIn(dataDir) });
  gateway = await openDatabase({ url: api.postgres.url });
  await gateway.nodes.join('one');
  checkpointer = new Checkpointer({
    checkpoints: gateway.audit.checkpoints,
    node: 'one',
    key: await loadSigningKey(dataDir),
    file: join(dataDir, 'checkpoints.ndjson'),
    nowMs: () => Date.now(),
    log: createLogger('silent', 'one'),
  });
  await checkpointer.start();
});

afterAll(async () => {
  await checkpointer.stop();
  await gateway.close();
  await withEvidence.app.close();
  await api.stop();
  rmSync(dataDir, { recursive: true });
});

function ask(path: string, more: { method?: string; body?: unknown } = {}): Promise<Answer> {
  return send(withEvidence.url, path, { key: api.key, ...more });
}

function verify(body: unknown = {}): Promise<Answer> {
  return ask('/v1/audit:verify', { method: 'POST', body });
}

test('an unchanged audit, its checkpoints and the key that signed them', async () => {
  for (let round = 0; round < 5; round += 1) await gateway.messages.accept(makeMessage());
  await checkpointer.make();
  const answer = await verify();
  expect(answer.status).toBe(200);
  expect(answer.body).toMatchObject({ ok: true, faults: [], unknownKeys: [], unsignedBlocks: 0 });
  const { body } = await ask('/v1/audit/checkpoints?limit=1');
  const page = body as { data: { node: string; key: string }[]; keys: { fingerprint: string; pem: string }[] };
  expect(page.data).toHaveLength(1);
  expect(page.keys).toHaveLength(1);
  expect(page.data[0]).toMatchObject({ node: 'one', key: page.keys[0]?.fingerprint });
  expect(page.keys[0]?.pem).toContain('BEGIN PUBLIC KEY');
  expectProblem(await verify({ checkpoints: [{ body: 1 }] }), 400, 'invalid-request');
});

test('a changed one: the first bad block is named', async () => {
  const message = makeMessage();
  await gateway.messages.accept(message);
  await checkpointer.make();
  await api.postgres.query(
    `set session_replication_role = replica; update audit_event set sender = 'eve@example.com' where transaction_id = '${message.id}'`,
  );
  const { body } = await verify();
  expect(body).toMatchObject({ ok: false, first: { kind: 'altered', node: 'one' } });
  await api.postgres.query(
    `set session_replication_role = replica; update audit_event set sender = 'ann@example.com' where transaction_id = '${message.id}'`,
  );
  expect((await verify()).body).toMatchObject({ ok: true });
});

test('mail that the client sent again is shown as such, both ways', async () => {
  const digest = 'ab'.repeat(32);
  const wishes = { record: { message: { sizeBytes: 3, digest } }, recipients: ['bob@example.net', 'eve@example.net'] };
  const first = makeMessage(wishes);
  const again = makeMessage(wishes);
  const other = makeMessage({ ...wishes, recipients: ['bob@example.net'] });
  for (const message of [first, again, other]) await gateway.messages.accept(message);
  const story = async (id: string): Promise<unknown> => (await ask(`/v1/transactions/${publicId('txn', id)}`)).body;
  expect(await story(again.id)).toMatchObject({ probableDuplicateOf: publicId('txn', first.id) });
  expect(await story(first.id)).toMatchObject({ resentAs: [publicId('txn', again.id)] });
  expect(await story(first.id)).not.toHaveProperty('probableDuplicateOf');
  expect(await story(other.id)).not.toHaveProperty('probableDuplicateOf');
});
