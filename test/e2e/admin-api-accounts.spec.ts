/** SMTP accounts over the API: life, conditions, roles, and that no password is ever told twice. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { passwordFits } from '#database';
import { ApiUnderTest, expectProblem, type Answer } from './admin-api-support.js';

const PASSWORD = 'correct horse battery';

let api: ApiUnderTest;

beforeAll(async () => {
  api = await ApiUnderTest.start();
});
afterAll(() => api.stop());

const create = (body: object, headers: Record<string, string> = {}): Promise<Answer> =>
  api.ask('/v1/accounts', { method: 'POST', body, headers });

async function made(name: string, more: object = {}): Promise<string> {
  const answer = await create({ name, password: PASSWORD, ...more });
  if (answer.status !== 201) throw new Error(answer.text);
  return answer.headers.get('etag') ?? '';
}

const change = (name: string, etag: string | undefined, body: object): Promise<Answer> =>
  api.ask(`/v1/accounts/${name}`, {
    method: 'PATCH',
    body,
    type: 'application/merge-patch+json',
    headers: etag === undefined ? {} : { 'If-Match': etag },
  });

async function signsIn(name: string, password: string): Promise<boolean> {
  const { account } = await api.database.accounts.authView(name);
  return account !== undefined && passwordFits(account.passwordHash, password);
}

describe('the life of an account', () => {
  test('created with a password of its own, read, changed, given another, removed', async () => {
    const created = await create(
      { name: 'Ann', password: PASSWORD, identities: ['Ann@EXAMPLE.com', '*@sales.example.com', 'Ann@example.com'] },
      { Reason: 'new colleague' },
    );
    expect(created.status).toBe(201);
    expect(created.headers.get('location')).toBe('/v1/accounts/ann');
    expect(created.body).toMatchObject({
      name: 'ann',
      identities: ['Ann@example.com', '*@sales.example.com'],
      disabled: false,
    });
    expect(await signsIn('ann', PASSWORD)).toBe(true);

    const read = await api.ask('/v1/accounts/ANN');
    const etag = read.headers.get('etag') ?? '';
    expect([read.status, etag]).toEqual([200, created.headers.get('etag')]);

    const changed = await change('ann', etag, {
      identities: [],
      note: 'left',
      disabled: true,
      expires: '2999-01-01T00:00:00Z',
    });
    expect(changed.body).toMatchObject({
      identities: [],
      note: 'left',
      disabled: true,
      expires: '2999-01-01T00:00:00.000Z',
    });
    expect(await signsIn('ann', PASSWORD)).toBe(false);
    const back = await change('ann', changed.headers.get('etag') ?? '', { disabled: false, note: null, expires: null });
    expect(Object.keys(back.body as object)).not.toContain('note');
    expect(back.body.expires).toBeUndefined();
    expect(await signsIn('ann', PASSWORD)).toBe(true);

    const replaced = await api.ask('/v1/accounts/ann:password', {
      method: 'POST',
      body: {},
      headers: { 'If-Match': back.headers.get('etag') ?? '' },
    });
    expect(replaced.status).toBe(200);
    expect(replaced.body.password).toMatch(/^[\w-]{24}$/u);
    expect(await signsIn('ann', replaced.body.password as string)).toBe(true);
    expect(await signsIn('ann', PASSWORD)).toBe(false);

    const gone = await api.ask('/v1/accounts/ann', {
      method: 'DELETE',
      headers: { 'If-Match': replaced.headers.get('etag') ?? '' },
    });
    expect([gone.status, gone.text]).toEqual([204, '']);
    expectProblem(await api.ask('/v1/accounts/ann'), 404, 'not-found');
  });

  test('a password that was made is shown once', async () => {
    const created = await create({ name: 'printer' });
    const { password } = created.body as { password: string };
    expect(await signsIn('printer', password)).toBe(true);
    for (const path of ['/v1/accounts', '/v1/accounts/printer'])
      expect((await api.ask(path)).text).not.toContain(password);
    expect((await create({ name: 'given', password: PASSWORD })).text).not.toContain(PASSWORD);
  });

  test('pages', async () => {
    for (const name of ['page-a', 'page-b', 'page-c']) await made(name);
    const first = await api.ask('/v1/accounts?limit=2');
    expect(first.body.data).toHaveLength(2);
    const second = await api.ask(`/v1/accounts?limit=500&after=${first.body.next as string}`);
    const names = [...first.body.data, ...second.body.data].map(({ name }: { name: string }) => name);
    expect(names).toEqual(expect.arrayContaining(['page-a', 'page-b', 'page-c']));
    expect(new Set(names).size).toBe(names.length);
    expect(first.headers.get('link')).toContain('rel="next"');
    expectProblem(await api.ask('/v1/accounts?after=nonsense'), 400, 'invalid-request');
  });

  test('every write is in the audit under its actor and reason, without a secret', async () => {
    const generated = (await create({ name: 'audited' }, { Reason: 'ticket 1' })).body.password as string;
    await api.ask('/v1/accounts/audited:password', {
      method: 'POST',
      body: { password: PASSWORD },
      headers: { 'If-Match': '*' },
    });
    await api.ask('/v1/accounts/audited', { method: 'DELETE', headers: { 'If-Match': '*', Reason: 'ticket 2' } });
    const { data } = await api.database.audit.events({ kinds: ['account.changed'], limit: 3 });
    expect(data.map((event) => event.data)).toMatchObject([
      { account: 'audited', operation: 'remove', actor: 'tester', reason: 'ticket 2' },
      { account: 'audited', operation: 'password', actor: 'tester' },
      { account: 'audited', operation: 'create', actor: 'tester', reason: 'ticket 1' },
    ]);
    expect(JSON.stringify(data)).not.toContain(generated);
    expect(JSON.stringify(data)).not.toContain(PASSWORD);
  });
});

describe('two writers', () => {
  test.each(['PATCH', 'POST', 'DELETE'])(
    '%s without a condition, with a wrong one, and with an old one',
    async (method) => {
      const name = `conditional-${method.toLowerCase()}`;
      const etag = await made(name);
      const path = method === 'POST' ? `/v1/accounts/${name}:password` : `/v1/accounts/${name}`;
      const body = method === 'DELETE' ? {} : { body: {} };
      const ask = (headers: Record<string, string>): Promise<Answer> => api.ask(path, { method, headers, ...body });
      expectProblem(await ask({}), 428, 'precondition-required');
      for (const wrong of ['"nonsense"', `W/${etag}`, '', '"0"', 'x']) {
        expectProblem(await ask({ 'If-Match': wrong }), 412, 'precondition-failed');
      }
      expectProblem(await ask({ 'If-None-Match': '*' }), 412, 'precondition-failed');
      await change(name, etag, { note: 'meanwhile' });
      expectProblem(await ask({ 'If-Match': etag }), 412, 'precondition-failed');
      expect((await ask({ 'If-Match': '*' })).status).toBeLessThan(300);
    },
  );

  test('at the same moment: one gets 412, nothing is lost', async () => {
    const etag = await made('contended');
    const both = await Promise.all(['one', 'two'].map((note) => change('contended', etag, { note })));
    expect(both.map(({ status }) => status).sort()).toEqual([200, 412]);
    const winner = both.find(({ status }) => status === 200);
    expect((await api.ask('/v1/accounts/contended')).body.note).toBe(winner?.body.note);
  });

  test('an account that was removed and made again is another', async () => {
    const etag = await made('phoenix');
    await api.ask('/v1/accounts/phoenix', { method: 'DELETE', headers: { 'If-Match': etag } });
    await made('phoenix');
    expectProblem(await change('phoenix', etag, { disabled: true }), 412, 'precondition-failed');
  });

  test('a name that is taken', async () => {
    await made('taken');
    expectProblem(await create({ name: 'TAKEN', password: PASSWORD }), 409, 'conflict');
  });
});

describe('refused', () => {
  test.each([
    ['a name with a space', { name: 'a b' }, '/name'],
    ['a name of signs', { name: '...' }, '/name'],
    ['a name beyond ASCII', { name: 'änn' }, '/name'],
    ['a name with a colon', { name: 'a:password' }, '/name'],
    ['a short password', { name: 'a', password: 'short1234' }, '/password'],
    ['a long password', { name: 'a', password: 'x'.repeat(257) }, '/password'],
    ['an empty password', { name: 'a', password: '' }, '/password'],
    ['a password with a line break', { name: 'a', password: 'one line\nand another' }, '/password'],
    ['a password made of the name', { name: 'longusername', password: 'longusername1' }, '/password'],
    ['an identity that is none', { name: 'a', identities: ['ok@example.com', 'nonsense'] }, '/identities/1'],
    ['an identity of everything', { name: 'a', identities: ['*'] }, '/identities/0'],
    ['an identity with a pattern', { name: 'a', identities: ['a*@example.com'] }, '/identities/0'],
    ['an expiry that is over', { name: 'a', expires: '2001-01-01T00:00:00Z' }, '/expires'],
  ])('%s', async (_what, body, pointer) => {
    const answer = await create({ password: PASSWORD, ...body });
    expectProblem(answer, 422, 'value-refused');
    expect(answer.body.errors[0].pointer).toBe(pointer);
    if ('password' in body && body.password !== '') expect(answer.text).not.toContain(body.password);
  });

  test.each([
    ['no name', {}],
    ['a name that is a number', { name: 5 }],
    ['a password that is a number', { name: 'a', password: 1234567890 }],
    ['a password that is null', { name: 'a', password: null }],
    ['identities that are a text', { name: 'a', identities: 'a@example.com' }],
    ['identities with a number', { name: 'a', identities: [5] }],
    ['too many identities', { name: 'a', identities: Array.from({ length: 101 }, (_, i) => `a${i}@example.com`) }],
    ['a time that is none', { name: 'a', expires: 'tomorrow' }],
    ['disabled as a word', { name: 'a', disabled: 'true' }],
    ['a name with NUL in its note', { name: 'nul', password: PASSWORD, note: '\0' }],
  ])('%s', async (_what, body) => {
    expectProblem(await create(body), 400, 'invalid-request');
  });

  test.each([
    'password_hash',
    'passwordHash',
    'scramSalt',
    'revision',
    'createdBy',
    'createdAt',
    'passwordSetAt',
    'disabledAt',
    'role',
    'id',
  ])('the field `%s`, which is not the caller’s to set', async (field) => {
    const etag = await made(`assigned-${field.toLowerCase().replaceAll('_', '-')}`);
    expectProblem(await create({ name: 'mass', password: PASSWORD, [field]: 'x' }), 400, 'invalid-request');
    const answer = await change(`assigned-${field.toLowerCase().replaceAll('_', '-')}`, etag, { [field]: 'x' });
    expectProblem(answer, 400, 'invalid-request');
  });

  test('name and password in a change of something else', async () => {
    const etag = await made('renamed');
    for (const body of [{ name: 'other' }, { password: PASSWORD }]) {
      expectProblem(await change('renamed', etag, body), 400, 'invalid-request');
    }
    for (const body of [{ identities: null }, { disabled: null }]) {
      expectProblem(await change('renamed', etag, body), 400, 'invalid-request');
    }
  });

  test('for whoever may only read', async () => {
    const etag = await made('watched');
    const asViewer = (path: string, method: string, body?: object): Promise<Answer> =>
      api.ask(path, { method, key: api.viewerKey, headers: { 'If-Match': etag }, ...(body !== undefined && { body }) });
    expect((await asViewer('/v1/accounts', 'GET')).status).toBe(200);
    expect((await asViewer('/v1/accounts/watched', 'GET')).status).toBe(200);
    for (const answer of [
      await asViewer('/v1/accounts', 'POST', { name: 'mine' }),
      await asViewer('/v1/accounts/watched', 'PATCH', { disabled: true }),
      await asViewer('/v1/accounts/watched:password', 'POST', {}),
      await asViewer('/v1/accounts/watched', 'DELETE'),
    ]) {
      expectProblem(answer, 403, 'forbidden');
    }
  });

  test('for an account that is not there, whatever the name looks like', async () => {
    for (const name of ['nobody', '%00', "'%20or%201=1", '..', 'a%2Fb', 'x'.repeat(128), '%F0%9F%92%8C']) {
      for (const method of ['GET', 'PATCH', 'DELETE']) {
        const answer = await api.ask(`/v1/accounts/${name}`, {
          method,
          headers: { 'If-Match': '*' },
          ...(method === 'PATCH' && { body: {} }),
        });
        expect({ name, method, status: answer.status }).toEqual({ name, method, status: 404 });
      }
    }
  });
});

test('no verifier is in any answer', async () => {
  await made('verified');
  for (const path of ['/v1/accounts?limit=500', '/v1/accounts/verified']) {
    expect((await api.ask(path)).text).not.toMatch(/[$]argon2|storedKey|serverKey|"scram|"salt|Hash"/u);
  }
});

test('a change can be tried first: all of it is checked, nothing is done', async () => {
  const body = { name: 'tried', identities: ['tried@example.com'] };
  const made = await api.ask('/v1/accounts?dryRun=true', { method: 'POST', body });
  expect(made.status).toBe(201);
  expect(made.headers.get('dry-run')).toBe('true');
  expect(made.body).toMatchObject({ name: 'tried' });
  expect(made.body).not.toHaveProperty('password');
  expectProblem(await api.ask('/v1/accounts/tried'), 404, 'not-found');
  const real = await api.ask('/v1/accounts', { method: 'POST', body });
  expect(real.headers.get('dry-run')).toBeNull();
  expectProblem(await api.ask('/v1/accounts?dryRun=true', { method: 'POST', body }), 409, 'conflict');
  const ifMatch = { 'If-Match': real.headers.get('etag') ?? '' };
  const patch = { method: 'PATCH', body: { disabled: true }, headers: ifMatch };
  expect((await api.ask('/v1/accounts/tried?dryRun=true', patch)).body).toMatchObject({ disabled: true });
  const gone = await api.ask('/v1/accounts/tried?dryRun=true', { method: 'DELETE', headers: ifMatch });
  expect(gone.status).toBe(204);
  const after = await api.ask('/v1/accounts/tried');
  expect(after.body).toMatchObject({ disabled: false });
  expect(after.headers.get('etag')).toBe(ifMatch['If-Match']);
  expectProblem(await api.ask('/v1/accounts/tried?dryRun=perhaps', { ...patch }), 400, 'invalid-request');
  expectProblem(await api.ask('/v1/accounts/tried?dryrun=true', { ...patch }), 400, 'invalid-request');
});
