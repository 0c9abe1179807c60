/** SMTP accounts in the database: what is kept, what goes out, and who may overwrite whom. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';
import { openDatabase, passwordFits, type Database, type SmtpAccount } from '#database';
import { createTestDatabase, type TestDatabase } from '../support/postgres.js';

const PASSWORD = 'correct horse battery';

let postgres: TestDatabase;
let db: Database;

beforeAll(async () => {
  postgres = await createTestDatabase();
  db = await openDatabase({ url: postgres.url });
});
afterAll(async () => {
  await db.close();
  await postgres.drop();
});

async function make(name: string, more: { identities?: string[]; disabled?: boolean } = {}): Promise<SmtpAccount> {
  const made = await db.accounts.create({ name, password: PASSWORD, identities: [], actor: 'ann', ...more });
  if (!made.ok) throw new Error(made.fault);
  return made.account;
}

/** The client's half of RFC 5802: whether its proof fits. */
function proves(password: string, scram: { salt: Buffer; iterations: number; storedKey: Buffer; serverKey: Buffer }) {
  const salted = pbkdf2Sync(password, scram.salt, scram.iterations, 32, 'sha256');
  const clientKey = createHmac('sha256', salted).update('Client Key').digest();
  const serverKey = createHmac('sha256', salted).update('Server Key').digest();
  return createHash('sha256').update(clientKey).digest().equals(scram.storedKey) && serverKey.equals(scram.serverKey);
}

describe('an account', () => {
  test('is kept without its password, and checks it by both ways', async () => {
    const account = await make('ann', { identities: ['ann@example.com', '*@sales.example.com'] });
    expect(account).toMatchObject({
      name: 'ann',
      identities: ['ann@example.com', '*@sales.example.com'],
      createdBy: 'ann',
    });
    const view = await db.accounts.authView('ANN');
    expect(view).toMatchObject({ name: 'ann', account: { identities: ['ann@example.com', '*@sales.example.com'] } });
    const { passwordHash = '', scram } = view.account ?? { scram: view.decoy };
    expect(passwordHash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/u);
    expect(await passwordFits(passwordHash, PASSWORD)).toBe(true);
    expect(await passwordFits(passwordHash, `${PASSWORD} `)).toBe(false);
    expect(scram.iterations).toBeGreaterThanOrEqual(4096);
    expect(proves(PASSWORD, scram)).toBe(true);
    expect(proves('another', scram)).toBe(false);
    const stored = await postgres.query('select a::text as row from smtp_account a');
    expect(JSON.stringify(stored)).not.toContain(PASSWORD);
    expect(JSON.stringify(await db.accounts.list())).not.toMatch(/argon2|scram|hash|salt/iu);
  });

  test('two with one password share no verifier', async () => {
    await make('twin-a');
    await make('twin-b');
    const [a, b] = [await db.accounts.authView('twin-a'), await db.accounts.authView('twin-b')];
    expect(a.account?.passwordHash).not.toBe(b.account?.passwordHash);
    expect(a.account?.scram.storedKey).not.toEqual(b.account?.scram.storedKey);
  });

  test('a name is taken once, also by two at the same time', async () => {
    const both = await Promise.all(
      [1, 2].map(() => db.accounts.create({ name: 'race', password: PASSWORD, identities: [], actor: 'x' })),
    );
    expect(both.filter(({ ok }) => ok)).toHaveLength(1);
    expect(both.find(({ ok }) => !ok)).toMatchObject({ fault: 'exists' });
  });

  test('another password replaces the old one, for both ways', async () => {
    const { revision } = await make('changed');
    const set = await db.accounts.setPassword('changed', 'a new one of some length', {
      actor: 'joe',
      ifRevision: revision,
    });
    expect(set).toMatchObject({ ok: true, account: { updatedBy: 'joe' } });
    const { account } = await db.accounts.authView('changed');
    if (account === undefined) throw new Error('gone');
    expect(await passwordFits(account.passwordHash, PASSWORD)).toBe(false);
    expect(await passwordFits(account.passwordHash, 'a new one of some length')).toBe(true);
    expect([proves(PASSWORD, account.scram), proves('a new one of some length', account.scram)]).toEqual([false, true]);
  });

  test.each([
    ['disabled', { disabled: true }],
    ['expired', { expiresAt: new Date(Date.now() - 1000) }],
  ])('%s, it looks like none to a sign-in, and comes back', async (state, change) => {
    const name = `was-${state}`;
    await make(name);
    await db.accounts.update(name, change, { actor: 'x' });
    expect((await db.accounts.authView(name)).account).toBeUndefined();
    await db.accounts.update(name, { disabled: false, expiresAt: null }, { actor: 'x' });
    expect((await db.accounts.authView(name)).account).toBeDefined();
  });

  test('removed and made again is another: an old revision does not fit', async () => {
    const first = await make('phoenix');
    expect(await db.accounts.remove('phoenix', { actor: 'x', ifRevision: first.revision })).toMatchObject({ ok: true });
    expect(await db.accounts.get('phoenix')).toBeUndefined();
    await make('phoenix');
    expect(await db.accounts.remove('phoenix', { actor: 'x', ifRevision: first.revision })).toEqual({
      ok: false,
      fault: 'stale',
    });
  });

  test('what is not said stays as it is', async () => {
    await db.accounts.create({
      name: 'kept',
      password: PASSWORD,
      identities: ['a@b.example'],
      note: 'printer',
      actor: 'x',
    });
    await db.accounts.update('kept', { disabled: true }, { actor: 'x' });
    const since = (await db.accounts.get('kept'))?.disabledAt;
    await db.accounts.update('kept', { disabled: true, note: null }, { actor: 'y' });
    const { note, ...kept } = (await db.accounts.get('kept')) ?? {};
    expect(kept).toMatchObject({ identities: ['a@b.example'], disabledAt: since });
    expect(note).toBeUndefined();
  });

  test('of two changes from one revision, one wins', async () => {
    const { revision } = await make('contended');
    const both = await Promise.all(
      ['one', 'two'].map((note) => db.accounts.update('contended', { note }, { actor: note, ifRevision: revision })),
    );
    expect(both.map((result) => (result.ok ? 'ok' : result.fault)).sort()).toEqual(['ok', 'stale']);
  });

  test('nobody has none', async () => {
    const given = { actor: 'x' };
    for (const result of [
      await db.accounts.update('nobody', {}, given),
      await db.accounts.setPassword('nobody', PASSWORD, given),
      await db.accounts.remove('nobody', given),
    ]) {
      expect(result).toEqual({ ok: false, fault: 'no-such-account' });
    }
  });
});

describe('an unknown name', () => {
  test('has a made-up salt that stays, everywhere, and is no other name’s', async () => {
    const other = await openDatabase({ url: postgres.url });
    const [here, there, else_] = [
      await db.accounts.authView('Nobody'),
      await other.accounts.authView('nobody'),
      await db.accounts.authView('nobody2'),
    ];
    await other.close();
    expect(here.account).toBeUndefined();
    expect(here.decoy).toEqual(there.decoy);
    expect(here.decoy.salt).not.toEqual(else_.decoy.salt);
    const real = (await db.accounts.authView('ann')).account?.scram;
    expect([here.decoy.salt.length, here.decoy.iterations]).toEqual([real?.salt.length, real?.iterations]);
  });

  test.each(['', ' ', 'a b', "'; drop table smtp_account", 'ä', 'x'.repeat(10_000), 'a\0b', '-ann', 'ann-'])(
    '%j can be nobody’s, and is looked for all the same',
    async (name) => {
      const view = await db.accounts.authView(name);
      expect(view).toMatchObject({ name: '' });
      expect(view.account).toBeUndefined();
    },
  );
});

test('pages follow the names', async () => {
  const names: string[] = [];
  for (let after: string | undefined; ;) {
    const page = await db.accounts.list({ limit: 3, ...(after !== undefined && { after }) });
    names.push(...page.data.map(({ name }) => name));
    after = page.next;
    if (after === undefined) break;
  }
  expect(names).toEqual([...names].sort());
  expect(new Set(names).size).toBe(names.length);
});

test('every change is in the audit with before and after, and no verifier is', async () => {
  await make('told', { identities: ['told@example.com'] });
  await db.accounts.update('told', { identities: [], disabled: true }, { actor: 'joe', reason: 'left' });
  await db.accounts.setPassword('told', 'yet another password', { actor: 'joe' });
  await db.accounts.remove('told', { actor: 'ann', reason: 'gone' });
  const { data } = await db.audit.events({ kinds: ['account.changed'], limit: 4 });
  expect(data.map((event) => event.data)).toMatchObject([
    { account: 'told', operation: 'remove', before: { disabled: true }, actor: 'ann', reason: 'gone' },
    { operation: 'password', actor: 'joe' },
    {
      operation: 'update',
      before: { identities: ['told@example.com'], disabled: false },
      after: { identities: [], disabled: true },
      reason: 'left',
    },
    { operation: 'create', after: { identities: ['told@example.com'] }, actor: 'ann' },
  ]);
  expect(JSON.stringify(data)).not.toMatch(/argon2|scram|another password|correct horse/iu);
});

test('a text that can be no password is refused before anything is written', async () => {
  await expect(
    db.accounts.create({ name: 'bad', password: 'tab\there is none', identities: [], actor: 'x' }),
  ).rejects.toThrow(RangeError);
  expect(await db.accounts.get('bad')).toBeUndefined();
});
