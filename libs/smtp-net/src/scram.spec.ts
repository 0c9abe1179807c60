import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { readScramClientFirst } from '#smtp-core';
import { ScramExchange, decoyCredentials } from './scram.js';
import type { ScramCredentials } from './hooks.js';

const SALT = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64');

function credentialsOf(password: string, iterations = 4096): ScramCredentials {
  const salted = pbkdf2Sync(password, SALT, iterations, 32, 'sha256');
  const clientKey = createHmac('sha256', salted).update('Client Key').digest();
  return {
    salt: SALT,
    iterations,
    storedKey: createHash('sha256').update(clientKey).digest(),
    serverKey: createHmac('sha256', salted).update('Server Key').digest(),
  };
}

function started(text: string): NonNullable<ReturnType<typeof readScramClientFirst>> {
  const start = readScramClientFirst(Buffer.from(text));
  if (start === undefined) throw new Error(`\`${text}\` was refused`);
  return start;
}

describe('the example of RFC 7677 s3', () => {
  const exchange = (): ScramExchange =>
    new ScramExchange(
      started('n,,n=user,r=rOprNGfwEbeRWgbNEkqO'),
      credentialsOf('pencil'),
      '%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0',
    );
  const last =
    'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=';

  it('is played as printed', () => {
    const played = exchange();
    expect(played.serverFirst.toString()).toBe(
      'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096',
    );
    expect(played.finish(Buffer.from(last))?.toString()).toBe('v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=');
  });

  it.each([
    ['another proof', last.replace('p=dH', 'p=dI')],
    ['a shorter proof', last.replace('dVQ=', '')],
    ['a longer proof', `${last.slice(0, -1)}AAA`],
    ['no proof', last.replace(/,p=.*/, '')],
    ['another nonce', last.replace('fuxF', 'fuxG')],
    ['the client’s nonce alone', last.replace(/r=.*?,/, 'r=rOprNGfwEbeRWgbNEkqO,')],
    ['another channel binding', last.replace('c=biws', 'c=eSws')],
    ['the parts in another order', last.replace(/^(c=biws),(r=.*),p/, '$2,$1,p')],
    ['nothing', ''],
    ['octets that are no text', '\xff\xfe'],
  ])('%s is refused', (_, message) => {
    expect(exchange().finish(Buffer.from(message, 'latin1'))).toBeUndefined();
  });

  it('an extension put in afterwards breaks the proof, which is over all that is sent', () => {
    expect(exchange().finish(Buffer.from(last.replace(',p=', ',x=y,p=')))).toBeUndefined();
  });
});

describe('the first message', () => {
  it.each([
    ['n,,n=user,r=abc', 'user', ''],
    ['y,,n=user,r=abc', 'user', ''],
    ['n,a=boss,n=user,r=abc', 'user', 'boss'],
    ['n,,n=a=2Cb=3Dc,r=abc', 'a,b=c', ''],
    ['n,,n=ann,r=abc,x=later', 'ann', ''],
    ['n,,n=\u00fcser,r=abc', '\u00fcser', ''],
    ['n,,n=u\u0308ser,r=abc', '\u00fcser', ''],
  ])('%s', (text, username, authorizationId) => {
    expect(started(text)).toMatchObject({ username, authorizationId });
  });

  it.each([
    'p=tls-unique,,n=user,r=abc',
    'x,,n=user,r=abc',
    'n,n=user,r=abc',
    'n,,m=ext,n=user,r=abc',
    'n,,n=,r=abc',
    'n,,n=user,r=',
    'n,,n=user',
    'n,,r=abc,n=user',
    'n,,n=us=er,r=abc',
    'n,,n=us\0er,r=abc',
    'n,,n=us\u200ber,r=abc',
    `n,,n=${'u'.repeat(5000)},r=abc`,
    '',
  ])('%j is refused', (text) => {
    expect(readScramClientFirst(Buffer.from(text))).toBeUndefined();
  });
});

describe('names that do not exist', () => {
  const decoy = { secret: Buffer.alloc(32, 1), iterations: 15_000, saltBytes: 16 };

  it('have the same salt each time, and another than other names', () => {
    const [one, again, other] = ['ann', 'ann', 'bob'].map((name) => decoyCredentials(name, decoy));
    expect(Buffer.from(one?.salt ?? []).equals(again?.salt ?? Buffer.of())).toBe(true);
    expect(Buffer.from(one?.salt ?? []).equals(other?.salt ?? Buffer.of())).toBe(false);
    expect([one?.salt.length, one?.iterations]).toEqual([16, 15_000]);
  });

  it('have another salt with another secret', () => {
    const other = decoyCredentials('ann', { ...decoy, secret: Buffer.alloc(32, 2) });
    expect(Buffer.from(other.salt).equals(decoyCredentials('ann', decoy).salt)).toBe(false);
  });
});
