/**
 * The `Received:` trace field this server puts on top of a message. RFC 5321 s4.4; RFC 3848, RFC 6531 s4.3 (protocol
 * names).
 *
 * Every part is checked where it is printed: what is not a name, a literal or a token becomes `unknown`, so nothing a
 * client said can end the field or open a comment. Time is an argument.
 */
import { literalOfAddress } from './domain.js';
import { printMailbox } from './path.js';
import type { Mailbox } from './path.js';
import type { TlsFacts } from './session-io.js';
import { isAscii } from './utf8.js';

export type ProtocolName =
  'SMTP' | 'ESMTP' | 'ESMTPS' | 'ESMTPA' | 'ESMTPSA' | 'UTF8SMTP' | 'UTF8SMTPS' | 'UTF8SMTPA' | 'UTF8SMTPSA';

/** What the name of the protocol depends on: a session, and whether its transaction said SMTPUTF8. */
export interface ProtocolFacts {
  readonly protocol: 'SMTP' | 'ESMTP';
  readonly tls?: object | undefined;
  readonly auth?: object | undefined;
  readonly smtpUtf8?: boolean | undefined;
}

export interface ReceivedFacts {
  /** What the client called itself. */
  readonly helo: string | undefined;
  /** The client's address as the socket tells it. */
  readonly address: string;
  /** Its name by reverse DNS, when that is known and verified. */
  readonly verifiedName?: string;
  readonly hostname: string;
  readonly protocol: ProtocolName;
  /** Told in a comment when the message came through TLS. */
  readonly tls?: Pick<TlsFacts, 'version' | 'cipher'>;
  /** Our id of the message. */
  readonly id: string;
  /** Only when the message has one recipient: more would tell them of each other. */
  readonly recipient?: Mailbox;
  readonly atMs: number;
}

const NAME = /^[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,253}[A-Za-z0-9._-])?$/;
const LITERAL = /^\[[0-9A-Za-z.:]{1,64}\]$/;
const TOKEN = /^[A-Za-z0-9_-]{1,64}$/;
const CIPHER = /^[A-Za-z0-9_-]{1,64}$/;
const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'] as const;
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'] as const;

/** The whole field, folded, with its final CR LF. */
export function receivedHeader(facts: ReceivedFacts): string {
  const literal = literalOfAddress(facts.address) ?? '[0.0.0.0]';
  const peer = facts.verifiedName === undefined ? literal : `${nameOr(facts.verifiedName)} ${literal}`;
  const recipient = facts.recipient === undefined ? '' : forClause(facts.recipient, facts.protocol);
  const id = TOKEN.test(facts.id) ? facts.id : 'unknown';
  return (
    `Received: from ${nameOr(facts.helo)} (${peer})\r\n` +
    `\tby ${nameOr(facts.hostname)} with ${facts.protocol}${tlsComment(facts.tls)} id ${id}${recipient};\r\n` +
    `\t${mailDate(facts.atMs)}\r\n`
  );
}

/** `ESMTPSA` and its kin. HELO knows no extension, so it stays `SMTP`. */
export function protocolName({ protocol, tls, auth, smtpUtf8 }: ProtocolFacts): ProtocolName {
  if (protocol === 'SMTP') return 'SMTP';
  const base = smtpUtf8 === true ? 'UTF8SMTP' : 'ESMTP';
  if (tls === undefined) return auth === undefined ? base : `${base}A`;
  return auth === undefined ? `${base}S` : `${base}SA`;
}

function tlsComment(tls: ReceivedFacts['tls']): string {
  if (tls === undefined) return '';
  const version = /^TLSv1\.\d$/.test(tls.version) ? tls.version : 'TLS';
  return ` (${version} ${CIPHER.test(tls.cipher) ? tls.cipher : 'unknown'})`;
}

/** A header field holds UTF-8 only in a message that was announced as such. */
function forClause(recipient: Mailbox, protocol: ProtocolName): string {
  return isAscii(recipient.localPart) || protocol.startsWith('UTF8') ? `\r\n\tfor <${printMailbox(recipient)}>` : '';
}

/** RFC 5322 s3.3 in UTC: `Sat, 22 Nov 2025 16:26:00 +0000`. */
export function mailDate(atMs: number): string {
  const at = new Date(atMs);
  const two = (value: number): string => String(value).padStart(2, '0');
  const day = `${DAYS[at.getUTCDay()] ?? ''}, ${String(at.getUTCDate())} ${MONTHS[at.getUTCMonth()] ?? ''} ${String(at.getUTCFullYear())}`;
  return `${day} ${two(at.getUTCHours())}:${two(at.getUTCMinutes())}:${two(at.getUTCSeconds())} +0000`;
}

function nameOr(name: string | undefined): string {
  return name !== undefined && (NAME.test(name) || LITERAL.test(name)) ? name : 'unknown';
}
