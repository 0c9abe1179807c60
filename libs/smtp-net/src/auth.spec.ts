import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { selfSigned } from '../../../test/support/certificates.js';
import { dial, dialTls, serveWith } from '../../../test/support/smtp-fixture.js';
import type { Served } from '../../../test/support/smtp-fixture.js';
import { eventually } from '../../../test/support/smtp-peer.js';
import type { SmtpPeer } from '../../../test/support/smtp-peer.js';
import { createServerContext } from './index.js';
import type {
  AuthOutcome,
  ListenerSettings,
  ScramCredentials,
  ServerSession,
  SmtpServerHooks,
  TlsSettings,
} from './index.js';

const FAILED = '535 5.7.8 Authentication credentials invalid';
const OK = '235 2.7.0 Authentication successful';
const ANN = { username: 'ann', password: 'p\u00e4ss word' };
const ALL = ['SCRAM-SHA-256', 'PLAIN', 'LOGIN'];

let tls: TlsSettings;
beforeAll(async () => {
  const { certificate, key } = await selfSigned({ names: ['mx.test'] });
  const context = createServerContext({ cert: certificate, key });
  tls = { mode: 'implicit', secureContext: () => context };
});

function scramOf(password: string, salt = randomBytes(16), iterations = 4096): ScramCredentials {
  const salted = pbkdf2Sync(password, salt, iterations, 32, 'sha256');
  const clientKey = createHmac('sha256', salted).update('Client Key').digest();
  const storedKey = createHash('sha256').update(clientKey).digest();
  return { salt, iterations, storedKey, serverKey: createHmac('sha256', salted).update('Server Key').digest() };
}

interface Office {
  readonly listener: Served;
  readonly outcomes: AuthOutcome[];
  readonly sessions: ServerSession[];
}

/** A server with one account. */
async function office(more: SmtpServerHooks = {}, settings: ListenerSettings = {}): Promise<Office> {
  const outcomes: AuthOutcome[] = [];
  const sessions: ServerSession[] = [];
  const stored = scramOf(ANN.password);
  const hooks: SmtpServerHooks = {
    connect: (session) => {
      sessions.push(session);
      return { effect: 'accept' };
    },
    authenticate: (_, { username, password }) =>
      username === ANN.username && password === ANN.password
        ? { effect: 'accept', identity: 'account:ann' }
        : { effect: 'refuse' },
    scramCredentials: (_, username) =>
      Promise.resolve(username === ANN.username ? { ...stored, identity: 'account:ann' } : undefined),
    authenticated: (_, outcome) => {
      outcomes.push(outcome);
    },
    ...more,
  };
  return { listener: await serveWith(hooks, { tls, auth: { mechanisms: ALL }, ...settings }), outcomes, sessions };
}

async function peerOf({ listener }: Office): Promise<SmtpPeer> {
  const peer = await dialTls(listener);
  await peer.begin('ehlo');
  return peer;
}

const b64 = (text: string): string => Buffer.from(text).toString('base64');
const plain = (...fields: readonly string[]): string => b64(fields.join('\0'));

describe('what is offered', () => {
  const offered = async (settings: ListenerSettings, hooks?: SmtpServerHooks): Promise<string | undefined> => {
    const { listener } = await office(hooks, settings);
    const peer = settings.tls === undefined ? dial(listener) : await dialTls(listener);
    await peer.reply();
    const [ehlo = ''] = await peer.say('EHLO client.test');
    return /AUTH [^|]*/.exec(ehlo)?.[0];
  };

  it('under TLS all, in the order given', async () => {
    expect(await offered({ tls })).toBe('AUTH SCRAM-SHA-256 PLAIN LOGIN');
  });

  it('in the clear nothing, unless the listener says so', async () => {
    expect(await offered({ tls: undefined })).toBeUndefined();
    expect(await offered({ tls: undefined, auth: { mechanisms: ['PLAIN'], withoutTls: true } })).toBe('AUTH PLAIN');
  });

  it('only what a hook can answer, and what we know', async () => {
    const none = { authenticate: undefined, scramCredentials: undefined } as unknown as SmtpServerHooks;
    expect(await offered({ tls }, none)).toBeUndefined();
    expect(await offered({ tls, auth: { mechanisms: ['CRAM-MD5', 'LOGIN'] } })).toBe('AUTH LOGIN');
  });

  it('a password in the clear is refused, and not looked at', async () => {
    let asked = 0;
    const { listener } = await office(
      { authenticate: () => { asked += 1; return { effect: 'accept' }; } }, // prettier-ignore
      { tls: { ...tls, mode: 'starttls' } },
    );
    const peer = dial(listener);
    await peer.begin('ehlo');
    expect((await peer.say(`AUTH PLAIN ${plain('', 'ann', 'x')}`))[0]).toMatch(/^5\d\d /);
    expect(asked).toBe(0);
  });
});

describe('PLAIN', () => {
  it('in one line and in two', async () => {
    const room = await office();
    const one = await peerOf(room);
    expect(await one.say(`AUTH PLAIN ${plain('', ANN.username, ANN.password)}`)).toEqual([OK]);
    expect(room.sessions[0]?.auth).toEqual({ identity: 'account:ann', mechanism: 'PLAIN' });
    const two = await peerOf(room);
    expect(await two.say('AUTH PLAIN')).toEqual(['334']);
    expect(await two.say(plain('', ANN.username, ANN.password))).toEqual([OK]);
    expect(room.outcomes.map(({ mechanism, result }) => `${mechanism} ${result}`)).toEqual([
      'PLAIN proved',
      'PLAIN proved',
    ]);
  });

  it.each([
    ['a wrong password', plain('', 'ann', 'wrong')],
    ['an unknown name', plain('', 'eve', ANN.password)],
    ['no password', plain('', 'ann', '')],
    ['no name', plain('', '', ANN.password)],
    ['a field too few', plain('ann', ANN.password)],
    ['a field too many', plain('', 'ann', ANN.password, '')],
    ['nothing', '='],
    ['octets that are no UTF-8', Buffer.from('\0ann\0p\xe4ss word', 'latin1').toString('base64')],
    ['a name that is too long', plain('', 'a'.repeat(2000), 'x')],
  ])('%s is refused', async (_, message) => {
    const room = await office();
    const peer = await peerOf(room);
    expect(await peer.say(`AUTH PLAIN ${message}`)).toEqual([FAILED]);
    expect(room.sessions[0]?.auth).toBeUndefined();
    expect(room.outcomes.every(({ result }) => result === 'failed')).toBe(true);
  });

  it('for another: only when the hook names exactly that one', async () => {
    const asked: (string | undefined)[] = [];
    const deaf = await office({
      authenticate: (_, { authorizationId }) => {
        asked.push(authorizationId);
        return { effect: 'accept' };
      },
    });
    expect(await (await peerOf(deaf)).say(`AUTH PLAIN ${plain('boss', 'ann', 'x')}`)).toEqual([FAILED]);
    expect(await (await peerOf(deaf)).say(`AUTH PLAIN ${plain('ann', 'ann', 'x')}`)).toEqual([OK]);
    expect(asked).toEqual(['boss', undefined]);
    const lets = await office({ authenticate: () => ({ effect: 'accept', identity: 'boss' }) });
    expect(await (await peerOf(lets)).say(`AUTH PLAIN ${plain('boss', 'ann', 'x')}`)).toEqual([OK]);
    expect(lets.sessions[0]?.auth?.identity).toBe('boss');
  });

  it('the hook may answer with a reply of its own, and close', async () => {
    const reply = { code: 454, enhanced: '4.7.0', lines: ['Later'] };
    const later = await peerOf(await office({ authenticate: () => Promise.resolve({ effect: 'refuse', reply }) }));
    expect(await later.say(`AUTH PLAIN ${plain('', 'ann', 'x')}`)).toEqual(['454 4.7.0 Later']);
    expect(await later.say('NOOP')).toEqual(['250 2.0.0 OK']);
    const closed = await peerOf(await office({ authenticate: () => ({ effect: 'refuse', close: true }) }));
    expect(await closed.say(`AUTH PLAIN ${plain('', 'ann', 'x')}`)).toEqual([FAILED]);
    await closed.closed();
  });

  it('the outcome is told before the client hears of it, and may hold it back', async () => {
    let release: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (release = resolve));
    const room = await office({ authenticated: () => gate });
    const peer = await peerOf(room);
    let heard = false;
    const answer = peer.say(`AUTH PLAIN ${plain('', ANN.username, ANN.password)}`).then((replies) => {
      heard = true;
      return replies;
    });
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(heard).toBe(false);
    release();
    expect(await answer).toEqual([OK]);
  });
});

describe('LOGIN', () => {
  it('asks for name and password, or takes the name along', async () => {
    const room = await office();
    const asked = await peerOf(room);
    expect(await asked.say('AUTH LOGIN')).toEqual(['334 VXNlcm5hbWU6']);
    expect(await asked.say(b64(ANN.username))).toEqual(['334 UGFzc3dvcmQ6']);
    expect(await asked.say(b64(ANN.password))).toEqual([OK]);
    const along = await peerOf(room);
    expect(await along.say(`AUTH LOGIN ${b64(ANN.username)}`)).toEqual(['334 UGFzc3dvcmQ6']);
    expect(await along.say(b64('wrong'))).toEqual([FAILED]);
    expect(await along.say(`AUTH LOGIN ${b64(ANN.username)}`)).toEqual(['334 UGFzc3dvcmQ6']);
    expect(await along.say('*')).toEqual([expect.stringMatching(/^501 /)]);
    expect(room.sessions.map(({ auth }) => auth?.mechanism)).toEqual(['LOGIN', undefined]);
  });
});

describe('SCRAM-SHA-256', () => {
  interface Wish {
    readonly username?: string;
    readonly password?: string;
    readonly gs2?: string;
    readonly binding?: string;
    readonly nonce?: (served: string) => string;
    readonly proof?: (proof: Buffer) => Buffer;
  }

  /** What a client answers to the server's first message, and how it will know the server. */
  function prove(bare: string, serverFirst: string, wish: Wish): { readonly last: string; readonly expected: string } {
    const [, nonce = '', salt = '', iterations = ''] = /^r=(.*),s=(.*),i=(\d+)$/.exec(serverFirst) ?? [];
    const salted = pbkdf2Sync(
      wish.password ?? ANN.password,
      Buffer.from(salt, 'base64'),
      Number(iterations),
      32,
      'sha256',
    );
    const hmac = (key: Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();
    const withoutProof = `c=${b64(wish.binding ?? wish.gs2 ?? 'n,,')},r=${wish.nonce?.(nonce) ?? nonce}`;
    const authMessage = `${bare},${serverFirst},${withoutProof}`;
    const clientKey = hmac(salted, 'Client Key');
    const signature = hmac(createHash('sha256').update(clientKey).digest(), authMessage);
    const proof = Buffer.from(clientKey.map((octet, at) => octet ^ (signature[at] ?? 0)));
    return {
      last: `${withoutProof},p=${(wish.proof?.(proof) ?? proof).toString('base64')}`,
      expected: `v=${hmac(hmac(salted, 'Server Key'), authMessage).toString('base64')}`,
    };
  }

  /** A client written after RFC 5802; gives back every reply and whether the server proved itself, too. */
  async function scram(peer: SmtpPeer, wish: Wish): Promise<{ readonly replies: string[]; readonly mutual: boolean }> {
    const bare = `n=${wish.username ?? ANN.username},r=${randomBytes(12).toString('hex')}`;
    const [first = ''] = await peer.say(`AUTH SCRAM-SHA-256 ${b64((wish.gs2 ?? 'n,,') + bare)}`);
    if (!first.startsWith('334 ')) return { replies: [first], mutual: false };
    const { last, expected } = prove(bare, Buffer.from(first.slice(4), 'base64').toString(), wish);
    const [second = ''] = await peer.say(b64(last));
    if (!second.startsWith('334 ')) return { replies: [first, second], mutual: false };
    const mutual = Buffer.from(second.slice(4), 'base64').toString() === expected;
    return { replies: [first, second, ...(await peer.say(''))], mutual };
  }

  it('proves both sides to each other', async () => {
    const room = await office();
    for (const gs2 of ['n,,', 'y,,', 'n,a=ann,']) {
      const { replies, mutual } = await scram(await peerOf(room), { gs2 });
      expect([replies.at(-1), mutual]).toEqual([OK, true]);
    }
    expect(room.sessions[0]?.auth).toEqual({ identity: 'account:ann', mechanism: 'SCRAM-SHA-256' });
    expect(room.outcomes).toContainEqual({ mechanism: 'SCRAM-SHA-256', username: 'ann', result: 'proved' });
  });

  it('begins with a challenge when the client sends nothing along', async () => {
    const peer = await peerOf(await office());
    expect(await peer.say('AUTH SCRAM-SHA-256')).toEqual(['334']);
    expect((await peer.say(b64('n,,n=ann,r=abc')))[0]).toMatch(/^334 ./);
    expect((await peer.say('*'))[0]).toMatch(/^501 /);
  });

  it.each([
    ['a wrong password', { password: 'wrong' }],
    ['a proof turned round', { proof: (proof: Buffer) => Buffer.from(proof.toReversed()) }],
    ['a proof of another length', { proof: (proof: Buffer) => proof.subarray(1) }],
    ['another nonce', { nonce: (served: string) => `${served}x` }],
    ['another binding than announced', { binding: 'y,,' }],
    ['to act for another', { gs2: 'n,a=boss,' }],
  ] satisfies [string, Wish][])('%s is refused', async (_, wish) => {
    const room = await office();
    const { replies } = await scram(await peerOf(room), wish);
    expect([replies.length, replies.at(-1)]).toEqual([2, FAILED]);
    expect(room.sessions[0]?.auth).toBeUndefined();
    expect(room.outcomes).toEqual([{ mechanism: 'SCRAM-SHA-256', username: 'ann', result: 'failed' }]);
  });

  it.each([['p=tls-exporter,,'], ['p=tls-unique,a=ann,']])(
    'channel binding that was not offered is refused: %s',
    async (gs2) => {
      expect((await scram(await peerOf(await office()), { gs2 })).replies).toEqual([FAILED]);
    },
  );

  it('an unknown name looks like a wrong password, each time the same', async () => {
    const room = await office();
    const salts: string[] = [];
    for (const username of ['eve', 'eve', 'mallory']) {
      const { replies } = await scram(await peerOf(room), { username });
      expect([replies.length, replies.at(-1)]).toEqual([2, FAILED]);
      salts.push(/s=([^,]*)/.exec(Buffer.from(replies[0]?.slice(4) ?? '', 'base64').toString())?.[1] ?? '');
    }
    expect(salts[0]).toBe(salts[1]);
    expect(salts[0]).not.toBe(salts[2]);
    expect(Buffer.from(salts[0] ?? '', 'base64')).toHaveLength(16);
  });

  it('the hook may refuse before anything is played', async () => {
    const reply = { code: 454, enhanced: '4.7.0', lines: ['Later'] };
    const room = await office({ scramCredentials: () => ({ effect: 'refuse', reply }) });
    expect((await scram(await peerOf(room), {})).replies).toEqual(['454 4.7.0 Later']);
    expect(room.outcomes.map(({ result }) => result)).toEqual(['failed']);
  });

  it.each(['breaks off', 'leaves', 'begins again'])('a client that %s is told of', async (how) => {
    const room = await office();
    const peer = await peerOf(room);
    await peer.say(`AUTH SCRAM-SHA-256 ${b64('n,,n=ann,r=abc')}`);
    if (how === 'leaves') await peer.destroy();
    else await peer.say('*');
    if (how === 'begins again') await peer.say(`AUTH PLAIN ${plain('', 'ann', 'x')}`);
    if (how === 'breaks off') await peer.say('QUIT');
    await eventually(() => room.outcomes.length > 0, 'the outcome was told');
    expect(room.outcomes[0]).toEqual({ mechanism: 'SCRAM-SHA-256', username: 'ann', result: 'abandoned' });
  });
});

describe('what authentication is for', () => {
  it('no mail without it, where it is required', async () => {
    const room = await office({}, { auth: { mechanisms: ALL, required: true } });
    const peer = await peerOf(room);
    expect(await peer.say('MAIL FROM:<>')).toEqual(['530 5.7.0 Authentication required']);
    await peer.say(`AUTH PLAIN ${plain('', ANN.username, ANN.password)}`);
    expect(await peer.say('MAIL FROM:<>')).toEqual(['250 2.1.0 Sender OK']);
  });

  it('a hook that throws costs the exchange only', async () => {
    const bugs: unknown[] = [];
    const hooks: SmtpServerHooks = { authenticate: () => { throw new Error('boom'); } }; // prettier-ignore
    const listener = await serveWith(hooks, { tls, auth: { mechanisms: ALL } }, (error) => bugs.push(error));
    const peer = await dialTls(listener);
    await peer.begin('ehlo');
    expect(await peer.say(`AUTH PLAIN ${plain('', 'ann', 'x')}`)).toEqual([
      '454 4.7.0 Temporary authentication failure',
    ]);
    expect(await peer.say('NOOP')).toEqual(['250 2.0.0 OK']);
    expect(bugs).toEqual([new Error('boom')]);
  });
});
