import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';
import { CertificateAuthority } from '../../../test/support/certificates.js';
import type { Credentials } from '../../../test/support/certificates.js';
import { ForeignMx } from '../../../test/support/foreign-mx.js';
import type { MxContext, MxScript, MxStep } from '../../../test/support/foreign-mx.js';
import { connectSmtp, SmtpConnectFault, tlsContext } from './index.js';
import type { SmtpConnection, SmtpConnectOptions, SmtpCredentials } from './index.js';

const NAME = 'mx.foreign.test';
const USER: SmtpCredentials = { username: 'ann', password: 'påss,word=1' };
const SHORT = { connectMs: 2000, bannerMs: 300, ehloMs: 300, tlsMs: 300, authMs: 300 };

let authority: CertificateAuthority;
let good: Credentials;
const open: ForeignMx[] = [];
const connections: SmtpConnection[] = [];

beforeAll(async () => {
  authority = await CertificateAuthority.create();
  good = await authority.issue({ names: [NAME] });
});

afterEach(async () => {
  for (const connection of connections.splice(0)) connection.destroy();
  for (const mx of open.splice(0)) await mx.close();
});

async function foreign(
  mechanisms: string,
  auth?: MxStep | ((context: MxContext) => MxStep | undefined),
): Promise<ForeignMx> {
  const script: MxScript = {
    tls: { server: { cert: good.certificate, key: good.key } },
    extensions: ['PIPELINING', 'SIZE', mechanisms],
    ...(auth === undefined ? {} : { at: { auth } }),
  };
  const mx = await ForeignMx.listen(script);
  open.push(mx);
  return mx;
}

async function signIn(mx: ForeignMx, options: Partial<SmtpConnectOptions> = {}): Promise<string> {
  const context = tlsContext({ authorities: authority.certificate });
  try {
    const connection = await connectSmtp({
      host: NAME,
      address: '127.0.0.1',
      port: mx.port,
      heloName: 'gw.test',
      timeouts: SHORT,
      tls: { mode: 'starttls', require: 'verified', serverName: NAME, context },
      auth: USER,
      ...options,
    });
    connections.push(connection);
    return 'signed in';
  } catch (error) {
    if (!(error instanceof SmtpConnectFault)) throw error;
    return `${error.stage}: ${error.reply === undefined ? error.message : String(error.reply.code)}`;
  }
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');
const said = (mx: ForeignMx): string[] => mx.commands.slice(mx.commands.lastIndexOf('EHLO gw.test') + 1);

/** The other side of RFC 5802, which changes what `twist` says. */
function scramServer(twist: { iterations?: number; nonce?: string; signature?: string; early?: boolean } = {}) {
  let first = '';
  let serverFirst = '';
  let step = 0;
  const hmac = (key: Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();
  const tell = (text: string): string => `334 ${base64(text)}\r\n`;
  return ({ line }: MxContext): MxStep => {
    step += 1;
    if (step === 1) {
      first = Buffer.from(line.split(' ')[2] ?? '', 'base64')
        .toString()
        .slice(3);
      const nonce = /r=(.*)$/.exec(first)?.[1] ?? '';
      const { iterations = 4096 } = twist;
      serverFirst = `r=${twist.nonce ?? `${nonce}more`},s=${base64('some salt')},i=${String(iterations)}`;
      return tell(serverFirst);
    }
    if (step === 3) return line === '' ? '235 2.7.0 Welcome\r\n' : '535 5.7.8 No\r\n';
    const final = Buffer.from(line, 'base64').toString();
    const [withoutProof = '', proof = ''] = final.split(',p=');
    const signed = `${first},${serverFirst},${withoutProof}`;
    const salted = pbkdf2Sync(USER.password.normalize('NFKC'), 'some salt', 4096, 32, 'sha256');
    const clientKey = hmac(salted, 'Client Key');
    const signature = hmac(createHash('sha256').update(clientKey).digest(), signed);
    const expected = Buffer.from(clientKey.map((octet, at) => octet ^ (signature[at] ?? 0))).toString('base64');
    if (proof !== expected) return '535 5.7.8 No\r\n';
    if (twist.early === true) return '235 2.7.0 Welcome\r\n';
    return tell(`v=${twist.signature ?? hmac(hmac(salted, 'Server Key'), signed).toString('base64')}`);
  };
}

describe('AUTH', () => {
  it('PLAIN says everything at once', async () => {
    const mx = await foreign('AUTH PLAIN LOGIN');
    expect(await signIn(mx)).toBe('signed in');
    expect(said(mx)).toEqual([`AUTH PLAIN ${base64('\0ann\0påss,word=1')}`]);
  });

  it('PLAIN with a very long secret waits for the challenge', async () => {
    const password = 'x'.repeat(600);
    const mx = await foreign('AUTH PLAIN', ({ line }) => (line === 'AUTH PLAIN' ? '334 \r\n' : undefined));
    expect(await signIn(mx, { auth: { username: 'ann', password } })).toBe('signed in');
    expect(said(mx)).toEqual(['AUTH PLAIN', base64(`\0ann\0${password}`)]);
  });

  it('LOGIN says what it is asked', async () => {
    const prompts = ['334 VXNlcm5hbWU6\r\n', '334 UGFzc3dvcmQ6\r\n'];
    const mx = await foreign('AUTH=LOGIN', () => prompts.shift());
    expect(await signIn(mx)).toBe('signed in');
    expect(said(mx)).toEqual(['AUTH LOGIN', base64('ann'), base64('påss,word=1')]);
  });

  it('SCRAM-SHA-256 is preferred, and both sides prove themselves', async () => {
    const mx = await foreign('AUTH PLAIN SCRAM-SHA-256', scramServer());
    expect(await signIn(mx)).toBe('signed in');
    expect(said(mx)[0]).toMatch(/^AUTH SCRAM-SHA-256 /);
    expect(said(mx).join('\n')).not.toContain(base64('påss'));
  });

  it.each<[string, Parameters<typeof scramServer>[0], string]>([
    ['too few iterations', { iterations: 1 }, 'the server wants 1 iterations of SCRAM, expected 4096 to 1000000'],
    ['endless iterations', { iterations: 9_999_999 }, 'the server wants 9999999 iterations of SCRAM'],
    ['a nonce of its own', { nonce: 'mine' }, 'the server sent a challenge that is not SCRAM'],
    ['no proof', { early: true }, 'the server ended the exchange of AUTH before it was complete'],
    ['a wrong proof', { signature: base64('x'.repeat(32)) }, 'the server could not prove that it knows the password'],
  ])('SCRAM with %s ends', async (_name, twist, why) => {
    const mx = await foreign('AUTH SCRAM-SHA-256', scramServer(twist));
    expect(await signIn(mx)).toContain(`auth: ${why}`);
  });

  it('refused: the reply is told', async () => {
    const mx = await foreign('AUTH PLAIN', '535 5.7.8 Bad credentials\r\n');
    expect(await signIn(mx)).toBe('auth: 535');
  });

  it.each<[string, string, MxStep | undefined, string]>([
    ['not offered', 'DSN', undefined, 'the server does not offer AUTH'],
    [
      'unknown mechanisms only',
      'AUTH GSSAPI CRAM-MD5',
      undefined,
      'the server offers no SASL mechanism that may be used',
    ],
    ['a challenge to PLAIN', 'AUTH PLAIN', '334 eW91Pw==\r\n', 'the server sent a challenge, and PLAIN has none'],
    ['a challenge that is none', 'AUTH LOGIN', '334 !!!\r\n', 'the server sent a challenge that is none'],
    ['endless challenges', 'AUTH LOGIN', '334 VXNlcg==\r\n', 'the server asked for more than name and password'],
    ['250 instead of 235', 'AUTH PLAIN', '250 Ok\r\n', 'unexpected reply 250'],
    [
      '235 at once to LOGIN',
      'AUTH LOGIN',
      '235 Ok\r\n',
      'the server ended the exchange of AUTH before it was complete',
    ],
    ['silence', 'AUTH PLAIN', { kind: 'hang' }, 'no reply in time, waited for auth'],
    ['disconnect', 'AUTH PLAIN', { kind: 'drop' }, 'connection'],
  ])('%s: no session', async (_name, mechanisms, step, why) => {
    const mx = await foreign(mechanisms, step);
    expect(await signIn(mx)).toContain(`auth: ${why}`);
    expect(mx.transactions).toEqual([]);
  });

  it('nothing is said without verified TLS, unless that was written down', async () => {
    const mx = await foreign('AUTH PLAIN');
    const unverified = { tls: { mode: 'starttls', require: 'encrypted', serverName: NAME } } as const;
    expect(await signIn(mx, unverified)).toBe(
      'auth: credentials are only sent over verified TLS: the certificate is signed by an authority that is not trusted',
    );
    const bare = { host: NAME, address: '127.0.0.1', port: mx.port, heloName: 'gw.test', timeouts: SHORT };
    await expect(connectSmtp({ ...bare, auth: USER })).rejects.toThrow(
      'credentials are only sent over verified TLS: the connection is not encrypted',
    );
    expect(mx.commands.filter((line) => line.startsWith('AUTH'))).toEqual([]);
    connections.push(await connectSmtp({ ...bare, auth: { ...USER, withoutVerifiedTls: true } }));
    expect(mx.commands.filter((line) => line.startsWith('AUTH'))).toHaveLength(1);
  });
});
