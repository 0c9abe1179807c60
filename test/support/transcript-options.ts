/**
 * The `@` lines of a transcript that say what kind of server it is played against, and the dialog of `@ after`.
 *
 *   @ offers starttls auth=PLAIN,LOGIN in-clear xclient no-smtputf8 no-chunking no-dsn
 *   @ requires tls auth                        @ tolerates early-talkers pipelining
 *   @ refuses unknown-before-ehlo
 *   @ tls TLSv1.3 TLS_AES_256_GCM_SHA384       implicit TLS, established before the greeting
 *   @ after [tls] [auth] ehlo | helo | mail | rcpt | data
 */
import { DEFAULT_LIMITS } from '#smtp-core';
import type { SessionOptions, SmtpLimits, TlsFacts } from '#smtp-core';

/** One exchange of an `@ after`: what the client sends, what it is told; or TLS being established. */
export type PresetExchange =
  { readonly kind: 'tls' } | { readonly kind: 'say'; readonly command: string; readonly replies: readonly string[] };

export type ServerOptions = Omit<SessionOptions, 'hostname'>;
type Mutable<T> = { -readonly [K in keyof T]: T[K] };

export const DEFAULT_TLS: TlsFacts = { version: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384' };

const WORDS: Readonly<Record<string, ServerOptions>> = {
  'offers starttls': { startTls: true },
  'offers xclient': { xclient: true },
  'offers no-smtputf8': { smtpUtf8: false },
  'offers no-chunking': { chunking: false },
  'offers no-dsn': { dsn: false },
  'requires tls': { tlsRequired: true },
  'requires auth': { authRequired: true },
  'refuses unknown-before-ehlo': { unknownBeforeEhlo: 'refused' },
  'tolerates early-talkers': { earlyTalkers: 'told' },
  'tolerates pipelining': { syncPoints: 'tolerated' },
};

export function readServerOptions(directives: ReadonlyMap<string, string>, file: string): ServerOptions {
  const limits = readLimits(directives.get('limits') ?? '', file);
  const options: Mutable<ServerOptions> = { limits };
  for (const name of ['offers', 'requires', 'refuses', 'tolerates']) {
    for (const word of words(directives.get(name))) {
      const mechanisms = /^auth=(.+)$/.exec(word)?.[1]?.split(',');
      if (mechanisms !== undefined) options.auth = { ...options.auth, mechanisms };
      else if (word === 'in-clear') options.auth = { mechanisms: [], ...options.auth, withoutTls: true };
      else Object.assign(options, WORDS[`${name} ${word}`] ?? unknownWord(file, `${name} ${word}`));
    }
  }
  const [version, cipher] = words(directives.get('tls'));
  if (version !== undefined) options.tls = readTls(version, cipher ?? DEFAULT_TLS.cipher, file);
  return options;
}

/** What is said before the first step of the transcript. */
export function readPreset(after: string, options: ServerOptions, file: string): readonly PresetExchange[] {
  const rest = words(after);
  const exchanges: PresetExchange[] = [];
  let tls = options.tls !== undefined;
  let auth = false;
  const ehlo = (): PresetExchange => say('EHLO client.test', ...ehloLines(options, tls, auth));
  if (rest[0] === 'tls') {
    rest.shift();
    exchanges.push(ehlo(), say('STARTTLS', '220 2.0.0 Ready to start TLS'), { kind: 'tls' });
    tls = true;
  }
  if (rest[0] === 'auth') {
    rest.shift();
    exchanges.push(ehlo(), say('AUTH PLAIN AGFubgBzZWNyZXQ=', '235 2.7.0 Authentication successful'));
    auth = true;
  }
  const last = rest[0] ?? '';
  const upTo = ['helo', 'ehlo', 'mail', 'rcpt', 'data'].indexOf(last);
  if (upTo < 0 || rest.length > 1) unknownWord(file, `after ${after}`);
  if (last === 'helo') return [...exchanges, say('HELO client.test', '250 mx.test')];
  if (!auth) exchanges.push(ehlo());
  const envelope = [
    say('MAIL FROM:<a@client.test>', '250 2.1.0 Sender OK'),
    say('RCPT TO:<b@mx.test>', '250 2.1.5 Recipient OK'),
    say('DATA', '354 End data with <CR><LF>.<CR><LF>'),
  ];
  return [...exchanges, ...envelope.slice(0, upTo - 1)];
}

function say(command: string, ...replies: readonly string[]): PresetExchange {
  return { kind: 'say', command, replies };
}

/** Written a second time on purpose: what EHLO is to be told, in words of its own. */
function ehloLines(options: ServerOptions, tls: boolean, auth: boolean): readonly string[] {
  const size = String(options.limits?.maxMessageBytes ?? DEFAULT_LIMITS.maxMessageBytes);
  const mayAuth = options.auth !== undefined && !auth && (tls || options.auth.withoutTls === true);
  const lines = [
    ['mx.test', 'PIPELINING', `SIZE ${size}`, '8BITMIME', 'ENHANCEDSTATUSCODES'],
    options.smtpUtf8 === false ? [] : ['SMTPUTF8'],
    options.chunking === false ? [] : ['CHUNKING'],
    options.dsn === false ? [] : ['DSN'],
    options.startTls === true && !tls ? ['STARTTLS'] : [],
    mayAuth ? [`AUTH ${options.auth.mechanisms.join(' ')}`] : [],
    options.xclient === true ? ['XCLIENT NAME ADDR PORT DESTADDR DESTPORT'] : [],
    [`LIMITS RCPTMAX=${String(options.limits?.maxRecipients ?? DEFAULT_LIMITS.maxRecipients)}`],
  ].flat();
  return lines.map((line, at) => `250${at === lines.length - 1 ? ' ' : '-'}${line}`);
}

function readLimits(text: string, file: string): Partial<SmtpLimits> {
  const limits: Record<string, number> = {};
  for (const word of words(text)) {
    const [name = '', value] = word.split('=');
    if (!(name in DEFAULT_LIMITS)) throw new Error(`${file}: there is no limit \`${name}\``);
    limits[name] = Number(value);
  }
  return limits;
}

function readTls(version: string, cipher: string, file: string): TlsFacts {
  if (version !== 'TLSv1.2' && version !== 'TLSv1.3') return unknownWord(file, `tls ${version}`);
  return { version, cipher };
}

function unknownWord(file: string, text: string): never {
  throw new Error(`${file}: \`@ ${text}\` is not understood`);
}

function words(text: string | undefined): string[] {
  return (text ?? '').split(' ').filter((word) => word !== '');
}
