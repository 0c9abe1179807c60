import { describe, expect, it } from '@jest/globals';
import { OperationalError, type AccountCredentials } from '#database';
import { createAuthenticator, type Authenticator, type AuthenticatorLimits } from './authenticator.js';

const VERIFIER = {
  salt: Buffer.alloc(16, 1),
  iterations: 4096,
  storedKey: Buffer.alloc(32),
  serverKey: Buffer.alloc(32),
};
const DECOY = { ...VERIFIER, salt: Buffer.alloc(16, 9) };
const HOME = '192.0.2.7';

interface Bench {
  readonly authenticator: Authenticator;
  readonly clock: { ms: number };
  /** What was done, in order: every look into the table, every hash. */
  readonly work: string[];
  readonly accounts: Map<string, { revision: number; password: string }>;
  /** Hashes under way, to be let go. */
  readonly held: (() => void)[];
  hold: boolean;
  away: boolean;
}

/** Accounts in memory; a "hash" is the password itself, and of an unknown name something else. */
function bench(limits: Partial<AuthenticatorLimits> = {}): Bench {
  const clock = { ms: 1_000_000 };
  const accounts = new Map([['ann', { revision: 1, password: 'right' }]]);
  const made: Omit<Bench, 'authenticator'> = { clock, work: [], accounts, held: [], hold: false, away: false };
  const authView = (raw: string): Promise<AccountCredentials> => {
    made.work.push('look');
    if (made.away) return Promise.reject(new OperationalError('database-unavailable', 'away'));
    const name = raw.toLowerCase();
    const known = accounts.get(name);
    const account = known && {
      revision: known.revision,
      passwordHash: known.password,
      scram: VERIFIER,
      identities: [`${name}@example.com`],
    };
    return Promise.resolve({ name, decoy: DECOY, ...(account && { account }) });
  };
  const check = async (hash: string, password: string): Promise<boolean> => {
    made.work.push('hash');
    if (made.hold) await new Promise<void>((go) => made.held.push(go));
    return hash === password;
  };
  const authenticator = createAuthenticator({
    accounts: { authView },
    clock: { nowMs: () => clock.ms },
    limits,
    check,
  });
  return Object.assign(made, { authenticator });
}

describe('a password', () => {
  it('that fits signs in, whatever the case of the name', async () => {
    const { authenticator } = bench();
    expect(await authenticator.verify('ANN', 'right', HOME)).toEqual({
      ok: true,
      account: 'ann',
      identities: ['ann@example.com'],
    });
  });

  it('that does not is refused like an unknown name, for the same work', async () => {
    const { authenticator, work } = bench();
    const answers = [];
    for (const name of ['ann', 'nobody', 'no name at all', '']) {
      work.length = 0;
      answers.push({ answer: await authenticator.verify(name, 'wrong', HOME), work: [...work] });
    }
    for (const each of answers) expect(each).toEqual(answers[0]);
    expect(answers[0]).toEqual({
      answer: { ok: false, why: 'refused', delayMs: 1000, locked: false },
      work: ['look', 'hash'],
    });
  });

  it('of an unknown name never fits, even where the made-up hash would', async () => {
    const { accounts } = bench();
    accounts.clear();
    const always = createAuthenticator({
      accounts: { authView: (name) => Promise.resolve({ name, decoy: DECOY }) },
      check: () => Promise.resolve(true),
    });
    expect(await always.verify('ann', 'right', HOME)).toMatchObject({ ok: false, why: 'refused' });
  });

  it('is hashed once for all who send it at the same moment', async () => {
    const { authenticator, work } = bench();
    const all = await Promise.all(Array.from({ length: 20 }, () => authenticator.verify('ann', 'right', HOME)));
    expect(all.every(({ ok }) => ok)).toBe(true);
    expect(work.filter((it) => it === 'hash')).toHaveLength(1);
  });

  it('that fitted is known for 30 seconds, but only as long as the account stays as it was', async () => {
    const { authenticator, work, accounts, clock } = bench();
    const hashes = async (password: string): Promise<number> => {
      work.length = 0;
      await authenticator.verify('ann', password, HOME);
      return work.filter((it) => it === 'hash').length;
    };
    expect([await hashes('right'), await hashes('right'), await hashes('wrong')]).toEqual([1, 0, 1]);
    clock.ms += 30_000;
    expect([await hashes('right'), await hashes('right')]).toEqual([1, 0]);
    accounts.set('ann', { revision: 2, password: 'new' });
    expect(await authenticator.verify('ann', 'right', HOME)).toMatchObject({ ok: false });
    expect(await authenticator.verify('ann', 'new', HOME)).toMatchObject({ ok: true });
    accounts.clear();
    expect(await authenticator.verify('ann', 'new', HOME)).toMatchObject({ ok: false });
  });
});

describe('failures', () => {
  it('cost more and more, then lock the account there, and only there', async () => {
    const { authenticator, work } = bench();
    const delays = [];
    for (let i = 1; i <= 6; i += 1) {
      const answer = await authenticator.verify('ann', `guess ${i}`, HOME);
      if (!answer.ok) delays.push([answer.delayMs, answer.locked]);
    }
    expect(delays).toEqual([
      [1000, false],
      [2000, false],
      [4000, false],
      [8000, false],
      [8000, false],
      [8000, true],
    ]);
    work.length = 0;
    expect(await authenticator.verify('ann', 'right', HOME)).toMatchObject({ why: 'locked', locked: true });
    expect(await authenticator.verify('ann', 'right', '192.0.2.200')).toMatchObject({ why: 'locked' }); // same /24
    expect(work).toEqual([]);
    expect(await authenticator.verify('ann', 'right', '198.51.100.1')).toMatchObject({ ok: true });
    expect(await authenticator.verify('nobody', 'x', HOME)).toMatchObject({ why: 'refused' });
  });

  it('lock for a minute, then for two; success and an hour of silence forget', async () => {
    const { authenticator, clock } = bench();
    const fail = (): Promise<unknown> => authenticator.verify('ann', `guess ${Math.random()}`, HOME);
    for (let i = 0; i < 6; i += 1) await fail();
    clock.ms += 59_999;
    expect(await fail()).toMatchObject({ why: 'locked' });
    clock.ms += 1;
    expect(await fail()).toMatchObject({ why: 'refused', locked: true });
    clock.ms += 60_000;
    expect(await fail()).toMatchObject({ why: 'locked' });
    clock.ms += 60_000;
    expect(await authenticator.verify('ann', 'right', HOME)).toMatchObject({ ok: true });
    expect(await fail()).toMatchObject({ delayMs: 1000, locked: false });
    for (let i = 0; i < 5; i += 1) await fail();
    clock.ms += 3_600_001;
    expect(await fail()).toMatchObject({ delayMs: 1000, locked: false });
  });

  it('of unknown names count alike', async () => {
    const { authenticator } = bench();
    const course = async (name: string): Promise<unknown[]> => {
      const answers = [];
      for (let i = 0; i < 8; i += 1) answers.push(await authenticator.verify(name, `guess ${i}`, '203.0.113.5'));
      return answers;
    };
    expect(await course('nobody')).toEqual(await course('ann'));
  });

  it('by one repeated password are one: a device with an old one locks nobody out', async () => {
    const { authenticator } = bench();
    for (let i = 0; i < 50; i += 1) {
      expect(await authenticator.verify('ann', 'old', HOME)).toEqual({
        ok: false,
        why: 'refused',
        delayMs: 1000,
        locked: false,
      });
    }
    expect(await authenticator.verify('ann', 'right', HOME)).toMatchObject({ ok: true });
  });

  it('over many names lock the network, not the others', async () => {
    const { authenticator } = bench();
    for (let i = 0; i < 60; i += 1) await authenticator.verify(`user${i}`, 'Summer2026', HOME);
    expect(await authenticator.verify('ann', 'right', HOME)).toMatchObject({ why: 'locked' });
    expect(await authenticator.verify('ann', 'right', '2001:db8::1')).toMatchObject({ ok: true });
  });

  it('from everywhere slow an account down, and never lock it', async () => {
    const { authenticator } = bench();
    let last;
    for (let i = 0; i < 80; i += 1) last = await authenticator.verify('ann', `guess ${i}`, `10.${i}.0.1`);
    expect(last).toEqual({ ok: false, why: 'refused', delayMs: 8000, locked: false });
    expect(await authenticator.verify('ann', 'right', HOME)).toMatchObject({ ok: true });
  });

  it('many at once are not more guesses than one after the other', async () => {
    const { authenticator, work } = bench();
    await authenticator.verify('ann', 'first', HOME);
    work.length = 0;
    const all = await Promise.all(
      Array.from({ length: 40 }, (_, i) => authenticator.verify('ann', `guess ${i}`, HOME)),
    );
    expect(work.filter((it) => it === 'hash')).toHaveLength(5);
    expect(all.filter((it) => !it.ok && it.why === 'busy')).toHaveLength(35);
  });

  it('are kept for a bounded number of names and networks', async () => {
    const { authenticator } = bench({ entries: 10 });
    for (let i = 0; i < 6; i += 1) await authenticator.verify('ann', `guess ${i}`, HOME);
    for (let i = 0; i < 20; i += 1) await authenticator.verify(`x${i}`, 'x', `10.${i}.0.1`);
    expect(await authenticator.verify('ann', 'right', HOME)).toMatchObject({ ok: true });
  });
});

describe('under load, or without a database', () => {
  it('a bounded number waits for its hash, the next is told to come again', async () => {
    const made = bench({ hashesAtATime: 2, hashesWaiting: 3 });
    made.hold = true;
    const asked = Array.from({ length: 7 }, (_, i) => made.authenticator.verify('ann', `p${i}`, `10.${i}.0.1`));
    const told = await Promise.race(asked);
    expect(told).toEqual({ ok: false, why: 'busy', delayMs: 0, locked: false });
    expect(made.held).toHaveLength(2);
    made.hold = false;
    for (const go of made.held) go();
    const all = await Promise.all(asked);
    expect(all.map((it) => (it.ok ? 'ok' : it.why)).sort()).toEqual([
      ...Array<string>(2).fill('busy'),
      ...Array<string>(5).fill('refused'),
    ]);
  });

  it('nobody is blamed for a database that is away', async () => {
    const made = bench();
    made.away = true;
    for (let i = 0; i < 40; i += 1) {
      expect(await made.authenticator.verify('ann', 'right', HOME)).toMatchObject({
        why: 'unavailable',
        locked: false,
      });
      expect(await made.authenticator.scram('ann', HOME)).toMatchObject({ why: 'unavailable' });
    }
    made.away = false;
    expect(await made.authenticator.verify('ann', 'right', HOME)).toMatchObject({ ok: true });
  });
});

describe('SCRAM', () => {
  it('gives an unknown name what a known one gets, save that nothing fits', async () => {
    const { authenticator, work } = bench();
    const known = await authenticator.scram('Ann', HOME);
    const unknown = await authenticator.scram('Nobody', HOME);
    expect(known).toEqual({ ok: true, identity: 'ann', identities: ['ann@example.com'], ...VERIFIER });
    expect(unknown).toEqual({ ok: true, identity: 'nobody', identities: [], ...DECOY });
    expect(work).toEqual(['look', 'look']);
  });

  it('failures lock as those of passwords do; who leaves is not blamed', async () => {
    const { authenticator } = bench();
    for (let i = 0; i < 20; i += 1) {
      await authenticator.scram('ann', HOME);
      expect(authenticator.report('ann', HOME, 'undecided')).toEqual({ delayMs: 0, locked: false });
    }
    let last;
    for (let i = 0; i < 6; i += 1) {
      await authenticator.scram('ann', HOME);
      last = authenticator.report('ann', HOME, 'failed');
    }
    expect(last).toEqual({ delayMs: 8000, locked: true });
    expect(await authenticator.scram('ann', HOME)).toMatchObject({ ok: false, why: 'locked' });
    expect(await authenticator.verify('ann', 'right', HOME)).toMatchObject({ ok: false, why: 'locked' });
  });

  it('forgives after a proof', async () => {
    const { authenticator } = bench();
    for (let i = 0; i < 5; i += 1) {
      await authenticator.scram('ann', HOME);
      authenticator.report('ann', HOME, 'failed');
    }
    await authenticator.scram('ann', HOME);
    authenticator.report('ann', HOME, 'proved');
    await authenticator.scram('ann', HOME);
    expect(authenticator.report('ann', HOME, 'failed')).toEqual({ delayMs: 1000, locked: false });
  });
});

it('real hashes run beside the event loop, not on it', async () => {
  const authenticator = createAuthenticator({
    accounts: { authView: (name) => Promise.resolve({ name, decoy: DECOY }) },
  });
  let turns = 0;
  const timer = setInterval(() => (turns += 1), 1);
  await Promise.all(Array.from({ length: 6 }, (_, i) => authenticator.verify(`u${i}`, 'x', `10.${i}.0.1`)));
  clearInterval(timer);
  expect(turns).toBeGreaterThan(3);
});
