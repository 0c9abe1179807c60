/** The careful way: draft, validate, commit, approve, release, confirm or go back; and who wrote a rule. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { DatabaseAccess } from '../../apps/admin-api/src/database-access.js';
import { waitFor } from '../support/wait.js';
import {
  ApiUnderTest,
  expectProblem,
  listening,
  send,
  smallPolicy,
  type Answer,
  type Ask,
} from './admin-api-support.js';

const MAIN = '/v1/policies/main';
const YAML = 'application/yaml';

let api: ApiUnderTest;
/** The same installation where a policy must be approved. */
let strict: { app: NestExpressApplication; url: string };
let joe = '';

beforeAll(async () => {
  api = await ApiUnderTest.start();
  strict = await listening(new DatabaseAccess(api.database), { requiredApprovals: 1 });
  joe = (await api.database.apiKeys.create({ name: 'joe', role: 'admin', actor: 'test' })).secret;
});
afterAll(async () => {
  await strict.app.close();
  await api.stop();
});
beforeEach(() => api.publish(smallPolicy()));

interface Draft {
  readonly path: string;
  readonly etag: string;
  readonly body: { id: string; base: number; digest: string; source: string; editors: string[] };
}

async function begin(body: object = {}): Promise<Draft> {
  const made = await api.ask(`${MAIN}/drafts`, { method: 'POST', body });
  expect({ status: made.status, text: made.text.slice(0, 200) }).toMatchObject({ status: 201 });
  return {
    path: made.headers.get('location') ?? '',
    etag: made.headers.get('etag') ?? '',
    body: made.body as Draft['body'],
  };
}

async function write(draft: Draft, ask: Ask): Promise<Answer> {
  return api.ask(draft.path, { headers: { 'If-Match': draft.etag }, ...ask });
}

async function written(source: string): Promise<Draft> {
  const draft = await begin();
  const put = await write(draft, { method: 'PUT', body: source, type: YAML });
  expect(put.status).toBe(200);
  return { path: draft.path, etag: put.headers.get('etag') ?? '', body: put.body as Draft['body'] };
}

const verb = (draft: Draft, name: string, body?: object): Promise<Answer> =>
  api.ask(`${draft.path}:${name}`, {
    method: 'POST',
    headers: { 'If-Match': draft.etag },
    ...(body !== undefined && { body }),
  });

async function committed(source: string, body: object = {}): Promise<number> {
  const answer = await verb(await written(source), 'commit', body);
  expect({ status: answer.status, text: answer.text.slice(0, 300) }).toMatchObject({ status: 201 });
  return answer.body.revision as number;
}

const release = (body: object): Promise<Answer> => api.ask(`${MAIN}/releases`, { method: 'POST', body });
const live = async (): Promise<number> => (await api.ask(MAIN)).body.revision as number;

describe('a draft', () => {
  test('begins with what is live, is patched with its comments kept, and changes nothing that is live', async () => {
    const before = await live();
    const draft = await begin({ title: 'other port' });
    expect(draft.body).toMatchObject({ base: before, source: smallPolicy(), editors: ['tester'], title: 'other port' });
    const patch = [
      { op: 'test', path: '/policy', value: 'main' },
      { op: 'replace', path: '/listeners/inside/port', value: 2526 },
      {
        op: 'add',
        path: '/acl/mail/0',
        value: { name: 'new', when: { 'sender.domain': ['x.example'] }, reject: '550 5.7.1 No' },
      },
      { op: 'move', from: '/acl/mail/0', path: '/acl/mail/1' },
    ];
    const patched = await write(draft, { method: 'PATCH', body: patch, type: 'application/json-patch+json' });
    expect(patched.status).toBe(200);
    const text = (await api.ask(draft.path, { headers: { Accept: YAML } })).text;
    expect(text).toContain('# kept comment');
    expect(text).toContain('port: 2526');
    expect(await live()).toBe(before);
    expectProblem(await write(draft, { method: 'PATCH', body: patch }), 412, 'precondition-failed');
    expectProblem(await api.ask(draft.path, { method: 'DELETE' }), 428, 'precondition-required');
    const etag = patched.headers.get('etag') ?? '';
    expect((await api.ask(draft.path, { method: 'DELETE', headers: { 'If-Match': etag } })).status).toBe(204);
    expectProblem(await api.ask(draft.path), 404, 'not-found');
  });

  test('takes a patch whole or not at all', async () => {
    const draft = await begin();
    const step = { op: 'replace', path: '/nothing', value: 1 };
    const answer = await write(draft, { method: 'PATCH', body: [{ op: 'remove', path: '/routing' }, step] });
    expectProblem(answer, 409, 'conflict');
    expect(answer.body.errors).toEqual([{ code: 'patch', pointer: '/1', message: 'there is nothing at `/nothing`' }]);
    for (const body of [
      {},
      [{ op: 'jump', path: '' }],
      [{ op: 'add', path: '/x' }],
      [{ op: 'move', path: '/x' }],
      [3],
    ]) {
      expectProblem(await write(draft, { method: 'PATCH', body }), 400, 'invalid-request');
    }
    expect((await api.ask(draft.path)).body.source).toBe(smallPolicy());
  });

  test('may be wrong, says so when it is validated, and cannot be committed then', async () => {
    const draft = await written(smallPolicy().replace('route: capture', 'route: nowhere'));
    const found = await api.ask(`${draft.path}:validate`, { method: 'POST', key: api.viewerKey });
    expect(found.body).toMatchObject({ ok: false, digest: draft.body.digest });
    expect(found.body.findings).toContainEqual(
      expect.objectContaining({ severity: 'blocks', pointer: '/routing/0/route' }),
    );
    expectProblem(await verb(draft, 'commit', {}), 422, 'policy-refused');
    const broken = await written('a: [');
    expect((await api.ask(`${broken.path}:validate`, { method: 'POST' })).body).toMatchObject({ ok: false });
    const good = await written(smallPolicy(2527));
    expect((await api.ask(`${good.path}:validate`, { method: 'POST' })).body).toMatchObject({ ok: true });
  });

  test('is compared as text and entry by entry', async () => {
    const draft = await written(smallPolicy(2527));
    const text = await api.ask(`${draft.path}/diff`);
    expect(text.headers.get('content-type')).toContain('text/x-diff');
    expect(text.text).toContain('-  inside: { address: 127.0.0.1, port: 2525, exposure: internal }\n+  inside:');
    const semantic = await api.ask(`${draft.path}/diff?format=semantic&against=base`);
    expect(semantic.body.changes).toMatchObject([{ section: 'listeners', name: 'inside', change: 'changed' }]);
    expectProblem(await api.ask(`${draft.path}/diff?against=9999`), 404, 'not-found');
    expectProblem(await api.ask(`${draft.path}/diff?against=yesterday`), 400, 'invalid-request');
  });

  test('becomes a revision with author, reason and source commit; not before one that came first', async () => {
    const [mine, late] = [
      await written(smallPolicy(2601)),
      await written(smallPolicy().replace('Sender blocked', 'Blocked sender')),
    ];
    const made = await verb(mine, 'commit', { reason: 'ticket 4711', sourceCommit: '4be1a7c' });
    expect(made.headers.get('location')).toBe(`${MAIN}/revisions/${made.body.revision as number}`);
    expect(made.body).toMatchObject({
      author: 'tester',
      contributors: ['tester'],
      reason: 'ticket 4711',
      sourceCommit: '4be1a7c',
      digest: mine.body.digest,
      live: false,
    });
    const refused = await verb(late, 'commit', {});
    expectProblem(refused, 409, 'conflict');
    expect(refused.body.detail).toContain(':rebase');
    const rebased = await verb(late, 'rebase');
    expect(rebased.body).toMatchObject({ base: made.body.revision as number });
    expect(rebased.body.source).toContain('port: 2601');
    expect(rebased.body.source).toContain('Blocked sender');
    const again = { ...late, etag: rebased.headers.get('etag') ?? '' };
    expect((await verb(again, 'commit', {})).status).toBe(201);
  });

  test('that touches the same lines is not rebased', async () => {
    const [one, two] = [await written(smallPolicy(2611)), await written(smallPolicy(2612))];
    expect((await verb(one, 'commit', {})).status).toBe(201);
    expectProblem(await verb(two, 'rebase'), 409, 'conflict');
  });
});

describe('a release', () => {
  test('that must be confirmed goes back by itself', async () => {
    const before = await live();
    const revision = await committed(smallPolicy(2621));
    const made = await release({ revision, confirmWithin: '2s', reason: 'try' });
    expect(made.status).toBe(201);
    const path = made.headers.get('location') ?? '';
    expect(await live()).toBe(revision);
    expect((await api.ask(path)).body).toMatchObject({
      state: 'awaiting-confirmation',
      revision,
      reason: 'try',
      gateways: [],
    });
    expectProblem(await release({ revision: before }), 409, 'conflict');
    await waitFor('it to lapse', async () => ((await live()) === before ? true : undefined));
    expect((await api.ask(path)).body).toMatchObject({ state: 'lapsed', complete: false });
    expectProblem(await api.ask(`${path}:confirm`, { method: 'POST' }), 409, 'conflict');
  });

  test('is confirmed, or aborted', async () => {
    const before = await live();
    const revision = await committed(smallPolicy(2631));
    const first = (await release({ revision, confirmWithin: '10m' })).headers.get('location') ?? '';
    const aborted = await api.ask(`${first}:abort`, { method: 'POST', headers: { Reason: 'bad idea' } });
    expect(aborted.body).toMatchObject({
      state: 'aborted',
      end: { kind: 'aborted', actor: 'tester', reason: 'bad idea' },
    });
    expect(await live()).toBe(before);
    const second = (await release({ revision, confirmWithin: '10m' })).headers.get('location') ?? '';
    expect((await api.ask(`${second}:confirm`, { method: 'POST' })).body).toMatchObject({
      state: 'live',
      end: { kind: 'confirmed' },
    });
    expect(await live()).toBe(revision);
    expectProblem(await api.ask(`${second}:abort`, { method: 'POST' }), 409, 'conflict');
    const back = await release({ revision: before });
    expect(back.body).toMatchObject({ revision: before, previous: revision, changed: true });
    expect((await api.ask(second)).body).toMatchObject({ state: 'superseded' });
    expectProblem(await api.ask(`${MAIN}/releases/999999`), 404, 'not-found');
    const { data } = (await api.ask(`${MAIN}/releases?limit=3`)).body as { data: { state: string }[] };
    expect(data.map(({ state }) => state)).toEqual(['live', 'superseded', 'aborted']);
  });

  test('is complete when every gateway that lives runs it', async () => {
    const node = await api.database.nodes.join('gw');
    try {
      const revision = await committed(smallPolicy(2641));
      const path = (await release({ revision })).headers.get('location') ?? '';
      expect((await api.ask(path)).body).toMatchObject({
        state: 'live',
        complete: false,
        gateways: [{ name: 'gw', state: 'behind' }],
      });
      node.reportRefusal({ revision, reason: 'port in use' });
      await node.heartbeat();
      expect((await api.ask(path)).body.gateways).toMatchObject([{ state: 'refuses', reason: 'port in use' }]);
      node.reportRefusal(undefined);
      node.reportPolicy(revision, 'd');
      await node.heartbeat();
      await waitFor('the gateway to say so', async () =>
        (await api.ask(path)).body.complete === true ? true : undefined,
      );
    } finally {
      await node.leave();
    }
  });
});

describe('four eyes', () => {
  const ask = (path: string, given: Ask = {}): Promise<Answer> => send(strict.url, path, { key: api.key, ...given });

  test('nobody publishes alone, and nobody approves what they wrote', async () => {
    const put = await ask(MAIN, { method: 'PUT', body: smallPolicy(2651), type: YAML, headers: { 'If-Match': '*' } });
    expectProblem(put, 409, 'conflict');
    const draft = await written(smallPolicy(2652));
    const approve = (key: string, digest: string): Promise<Answer> =>
      ask(`${draft.path}/approvals`, { method: 'POST', key, body: { digest } });
    expectProblem(await approve(api.key, draft.body.digest), 403, 'forbidden');
    expectProblem(await approve(joe, `sha256:${'0'.repeat(64)}`), 409, 'conflict');
    expect((await ask(`${draft.path}/approvals`)).body).toMatchObject({ required: 1, approved: false, data: [] });
    expect((await approve(joe, draft.body.digest)).body).toMatchObject({ approved: true, data: [{ approver: 'joe' }] });
    // Any change needs another approval.
    const changed = await write(draft, { method: 'PUT', body: smallPolicy(2653), type: YAML });
    expect((await ask(`${draft.path}/approvals`)).body).toMatchObject({ approved: false, data: [] });
    const now = { ...draft, etag: changed.headers.get('etag') ?? '' };
    const revision = (await verb(now, 'commit', {})).body.revision as number;
    const wanted = { method: 'POST', body: { revision } };
    expectProblem(await ask(`${MAIN}/releases`, wanted), 409, 'conflict');
    const { digest } = (await ask(`${MAIN}/revisions/${revision}`)).body as { digest: string };
    expectProblem(
      await ask(`${MAIN}/revisions/${revision}/approvals`, { method: 'POST', body: { digest } }),
      403,
      'forbidden',
    );
    await ask(`${MAIN}/revisions/${revision}/approvals`, {
      method: 'POST',
      key: joe,
      body: { digest },
      headers: { Reason: 'read it' },
    });
    expect((await ask(`${MAIN}/revisions/${revision}/approvals`)).body.data).toMatchObject([
      { approver: 'joe', reason: 'read it' },
    ]);
    const before = await live();
    expect((await ask(`${MAIN}/releases`, wanted)).status).toBe(201);
    // What was in force before needs no new approval: going back must not wait.
    expect((await ask(`${MAIN}/releases`, { method: 'POST', body: { revision: before } })).status).toBe(201);
  });
});

describe('who wrote a rule', () => {
  test('revision, author, reason and source commit, since it reads so and since it is there', async () => {
    const rules = `${MAIN}/acl/mail/rules`;
    const headers = { 'If-Match': '*', Reason: 'new' };
    const rule = { name: 'mine', when: { 'sender.domain': ['mine.example'] }, reject: '550 5.7.1 No' };
    const made = (await api.ask(rules, { method: 'POST', body: rule, headers })).body.revision as number;
    await api.ask(`${MAIN}/clients`, {
      method: 'POST',
      body: { name: 'near', match: { ip: ['10.0.0.0/8'] } },
      headers,
    });
    const changed = smallPolicy().replace(
      '  mail:\n',
      `  mail:\n    - { name: mine, when: { sender.domain: [mine.example] }, reject: 550 5.7.1 Never }\n`,
    );
    const put = await api.ask(MAIN, {
      method: 'PUT',
      body: changed,
      type: YAML,
      key: joe,
      headers: { 'If-Match': '*', 'Source-Commit': 'git:4be1' },
    });
    const revision = put.body.revision as number;
    const blame = (await api.ask(`${MAIN}/revisions/${revision}/rules/mail/mine`)).body;
    expect(blame).toMatchObject({
      rule: 'mail/mine',
      value: { reject: '550 5.7.1 Never' },
      changed: { revision, author: 'joe', sourceCommit: 'git:4be1' },
      introduced: { revision: made, author: 'tester', reason: 'new' },
    });
    expectProblem(await api.ask(`${MAIN}/revisions/${revision}/rules/mail/nobody`), 404, 'not-found');
    expectProblem(await api.ask(`${MAIN}/revisions/${revision}/rules/nowhere/x`), 400, 'invalid-request');
  });
});
