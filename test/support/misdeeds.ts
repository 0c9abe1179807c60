/** What next hops have done to senders: each with the stage and the words that the audit must have for it. */
import type { CertificateAuthority, Credentials } from './certificates.js';
import { selfSigned } from './certificates.js';
import type { MxScript, MxStage, MxStep, MxTls } from './foreign-mx.js';

export interface Misdeed {
  readonly name: string;
  readonly script: MxScript;
  /** A regular expression. */
  readonly stage: string;
  /** Matches `reply` in the audit. */
  readonly told: RegExp;
  /** Refused for good: no second attempt. */
  readonly permanent?: true;
  /** The message may have arrived: it may be there twice in the end. */
  readonly uncertain?: true;
  /** More octets than fit into socket buffers. */
  readonly large?: true;
  /** The route requires verified TLS. */
  readonly tls?: true;
  /** And signs in. */
  readonly auth?: true;
}

const hang: MxStep = { kind: 'hang' };
const drop: MxStep = { kind: 'drop' };
const reset: MxStep = { kind: 'reset' };
const LOST = /^connection (closed|reset) by the server$/;
const LATE = /^no reply in time, waited for /;
const MAYBE = /; the message may have been delivered$/;
const UNREADABLE = /^reply cannot be read: /;

type More = Partial<Omit<Misdeed, 'name' | 'script' | 'told'>>;

// eslint-disable-next-line max-params -- one line for each misdeed: a table, not a call
function at(stage: MxStage, name: string, step: MxStep, told: RegExp, more: More = {}): Misdeed {
  const audited = stage === 'starttls' ? 'tls' : stage;
  return { name: `${stage}: ${name}`, script: { at: { [stage]: step } }, stage: audited, told, ...more };
}

function broken(stage: MxStage): Misdeed[] {
  return [
    at(stage, 'no answer', hang, LATE),
    at(stage, 'disconnect', drop, LOST),
    // A connection that is reset at once may not even be seen to have come about.
    at(stage, 'reset', reset, LOST, stage === 'banner' ? { stage: '(banner|connect)' } : {}),
    at(stage, 'no SMTP', 'HTTP/1.1 400 Bad Request\r\n\r\n', UNREADABLE),
    at(stage, 'an endless reply', '451-and on\r\n'.repeat(10_000), UNREADABLE),
    at(stage, 'an endless line', `451 ${'x'.repeat(20_000)}\r\n`, UNREADABLE),
    at(stage, 'two codes in one reply', '250-fine\r\n550 not\r\n', UNREADABLE),
    at(stage, '421 and goodbye', { kind: 'say-and-drop', text: '421 4.3.2 Closing\r\n' }, /^421 4\.3\.2 Closing$/),
  ];
}

const ENVELOPE: readonly Misdeed[] = [
  at('banner', '554', '554 5.3.2 No\r\n', /^554 5\.3\.2 No$/),
  at('banner', '250 instead of 220', '250 Hi\r\n', /^unexpected reply 250$/),
  at(
    'banner',
    'answers before any question',
    '220 x\r\n250 x\r\n250 x\r\n250 x\r\n354 x\r\n250 done\r\n',
    /^server ended the session right after/,
    {
      stage: 'ehlo',
    },
  ),
  {
    name: 'ehlo: 5xx, to HELO as well',
    script: { at: { ehlo: '550 5.5.1 No\r\n', helo: '550 5.5.1 No\r\n' } },
    stage: 'ehlo',
    told: /^550 5\.5\.1 No$/,
  },
  at('mail', '4xx', '451 4.3.0 Busy\r\n', /^451 4\.3\.0 Busy$/),
  at('mail', '354 out of place', '354 Go\r\n', /^unexpected reply 354 to mail$/),
  at('mail', 'terminal codes', '451 4.3.0 \u001b[31m\u0000\u0007red\r\n', /^451 4\.3\.0 \?\[31m\?\?red$/),
  at('mail', '5xx', '550 5.7.1 Not you\r\n', /^550 5\.7\.1 Not you$/, { permanent: true }),
  at('rcpt', '4xx', '450 4.2.0 Greylisted\r\n', /^450 4\.2\.0 Greylisted$/),
  at('rcpt', 'too many, for a single one', '452 4.5.3 Too many\r\n', /^452 4\.5\.3 Too many$/),
  at('rcpt', '5xx', '550 5.1.1 <x>\u0000Bcc: evil\r\n', /^550 5\.1\.1 <x>\?Bcc: evil$/, { permanent: true }),
  at('rcpt', 'mailbox full for ever', '552 5.2.2 Full\r\n', /^552 5\.2\.2 Full$/, { permanent: true }),
  at('data', '4xx', '451 4.3.0 Busy\r\n', /^451 4\.3\.0 Busy$/),
  at('data', '250 instead of 354', '250 Ok\r\n', /^unexpected reply 250 to data$/),
  at('data', '5xx', '554 5.5.1 No\r\n', /^554 5\.5\.1 No$/, { permanent: true }),
];

const CONTENT: readonly Misdeed[] = [
  at('content', '4xx', '452 4.3.1 Full\r\n', /^452 4\.3\.1 Full$/),
  at('content', '5xx', '554 5.6.0 Dislike\r\n', /^554 5\.6\.0 Dislike$/, { permanent: true }),
  at('content', '354 out of place', '354 Go\r\n', /^unexpected reply 354 to content/, { uncertain: true }),
  at('content', 'half a reply', { kind: 'say-and-drop', text: '250 2.0.0 O' }, MAYBE, { uncertain: true }),
  {
    name: 'content: accepted before it was sent',
    script: { duringContent: { afterBytes: 1, step: '250 2.0.0 Thanks\r\n' } },
    stage: 'content',
    told: /^server replied before the content was complete$/,
    large: true,
  },
  {
    name: 'content: refused in the middle',
    script: { duringContent: { afterBytes: 1, step: '552 5.3.4 Enough\r\n' } },
    stage: 'content',
    told: /^552 5\.3\.4 Enough$/,
    large: true,
    permanent: true,
  },
  {
    name: 'content: disconnect in the middle',
    script: { duringContent: { afterBytes: 100_000, step: drop } },
    stage: 'content',
    told: LOST,
    large: true,
  },
  {
    name: 'content: no more reading',
    script: { duringContent: { afterBytes: 1, step: { kind: 'stop-reading' } } },
    stage: 'content',
    told: LATE,
    large: true,
  },
];

const CHUNKS: MxScript = { extensions: ['PIPELINING', 'CHUNKING'] };

const CHUNKED: readonly Misdeed[] = [
  {
    name: 'content by BDAT: offered and not known',
    script: { ...CHUNKS, at: { content: '502 5.5.1 What?\r\n' } },
    stage: 'content',
    told: /^the server refused BDAT, which it offers, with 502 5\.5\.1 What\?$/,
    large: true,
  },
  {
    name: 'content by BDAT: disconnect',
    script: { ...CHUNKS, at: { content: drop } },
    stage: 'content',
    told: MAYBE,
    large: true,
    uncertain: true,
  },
];

/** Everything that needs no certificate. */
export function plainMisdeeds(): readonly Misdeed[] {
  const content = broken('content').map((misdeed) =>
    misdeed.told.source.startsWith('^421') ? misdeed : { ...misdeed, told: MAYBE, uncertain: true as const },
  );
  const stages: readonly MxStage[] = ['banner', 'ehlo', 'mail', 'rcpt', 'data'];
  return [...stages.flatMap(broken), ...content, ...ENVELOPE, ...CONTENT, ...CHUNKED];
}

/** Names of what `tlsMisdeeds` makes, for who needs them before there is an authority. */
export const TLS_MISDEEDS: readonly string[] = [
  'tls: for another name',
  'tls: expired',
  'tls: self-signed',
  'tls: too old',
  'tls: silence instead',
  'tls: disconnect instead',
  'tls: plaintext instead',
  'tls: not offered',
  'starttls: refused',
  'starttls: octets injected',
  'starttls: no answer',
  'auth: refused',
  'auth: no answer',
  'auth: a challenge that is none',
  'mail, in TLS: disconnect',
];

/** For a route that requires verified TLS; some sign in as well. */
export async function tlsMisdeeds(authority: CertificateAuthority, good: Credentials): Promise<readonly Misdeed[]> {
  const [year2001, year2005] = [new Date(1e12), new Date(1.1e12)];
  const [wrongName, expired, unsigned] = await Promise.all([
    authority.issue({ names: ['elsewhere.test'] }),
    authority.issue({ addresses: ['127.0.0.1'], notBefore: year2001, notAfter: year2005 }),
    selfSigned({ addresses: ['127.0.0.1'] }),
  ]);
  const of = (name: string, tls: Partial<MxTls>, told: RegExp): Misdeed => {
    const server = { cert: good.certificate, key: good.key };
    return { name: `tls: ${name}`, script: { tls: { server, ...tls } }, stage: 'tls', told, tls: true };
  };
  const showing = ({ certificate, key }: Credentials): Partial<MxTls> => ({ server: { cert: certificate, key } });
  const inTls = (misdeed: Misdeed, more: More = {}): Misdeed => {
    const tls = { server: { cert: good.certificate, key: good.key } };
    return { ...misdeed, script: { extensions: ['AUTH PLAIN'], ...misdeed.script, tls }, tls: true, ...more };
  };
  return [
    of('for another name', showing(wrongName), /the certificate is not for 127\.0\.0\.1$/),
    of('expired', showing(expired), /the certificate has expired$/),
    of('self-signed', showing(unsigned), /the certificate is self-signed$/),
    of('too old', { server: { ...showing(good).server, maxVersion: 'TLSv1.1' } }, /^TLS handshake failed: /),
    of('silence instead', { instead: hang }, /^TLS handshake timed out$/),
    of('disconnect instead', { instead: drop }, /^TLS handshake failed: /),
    of('plaintext instead', { instead: '250 Ok\r\n' }, /^(TLS handshake failed: |the server sent octets between)/),
    { name: 'tls: not offered', script: {}, stage: 'tls', told: /^the server does not offer STARTTLS$/, tls: true },
    inTls(at('starttls', 'refused', '454 4.7.0 Not now\r\n', /^454 4\.7\.0 Not now$/)),
    inTls(at('starttls', 'octets injected', '220 Go\r\n250 evil\r\n', /^the server sent octets between/)),
    inTls(at('starttls', 'no answer', hang, LATE)),
    inTls(at('auth', 'refused', '535 5.7.8 No\r\n', /^535 5\.7\.8 No$/), { auth: true }),
    inTls(at('auth', 'no answer', hang, LATE), { auth: true }),
    inTls(at('auth', 'a challenge that is none', '334 !\r\n', /^the server sent a challenge that is none$/), {
      auth: true,
    }),
    inTls({ ...at('mail', 'disconnect', drop, LOST), name: 'mail, in TLS: disconnect' }),
  ];
}
