/**
 * Every reply this server utters of its own accord: key → code, enhanced code, text, where the rule stands.
 * `docs/replies.md` is printed from here; replies of a policy or of a hook's owner are not in it.
 *
 * The text is public and generic: no configuration, no reasons that help an attacker.
 */
import type { Reply } from './reply.js';

interface Entry extends Reply {
  /** The section that gives the code its meaning here. */
  readonly rfc: string;
  /** When it is said, for the generated page. */
  readonly when: string;
}

function entry(reply: string, rfc: string, when: string): Entry {
  const match = /^(\d{3}) (?:([245]\.\d{1,3}\.\d{1,3}) )?(.+)$/.exec(reply);
  if (match === null) throw new Error(`reply catalogue: \`${reply}\` is not a reply`);
  const [, code, enhanced, text] = match;
  const base = { code: Number(code), lines: [text ?? ''], rfc, when };
  return enhanced === undefined ? base : { ...base, enhanced };
}

export const REPLIES = {
  'sender-ok': entry('250 2.1.0 Sender OK', 'RFC 5321 s4.1.1.2', 'MAIL was accepted'),
  'recipient-ok': entry('250 2.1.5 Recipient OK', 'RFC 5321 s4.1.1.3', 'RCPT was accepted'),
  'send-content': entry('354 End data with <CR><LF>.<CR><LF>', 'RFC 5321 s4.1.1.4', 'DATA was accepted'),
  'chunk-ok': entry('250 2.0.0 Chunk OK', 'RFC 3030 s2', 'a chunk that was not the last one was taken'),
  'message-accepted': entry('250 2.0.0 Accepted', 'RFC 5321 s4.1.1.4', 'the content was accepted'),
  'reset-ok': entry('250 2.0.0 OK', 'RFC 5321 s4.1.1.5', 'RSET'),
  'noop-ok': entry('250 2.0.0 OK', 'RFC 5321 s4.1.1.9', 'NOOP'),
  'start-tls': entry('220 2.0.0 Ready to start TLS', 'RFC 3207 s4', 'STARTTLS; the last octets in the clear'),
  'auth-ok': entry('235 2.7.0 Authentication successful', 'RFC 4954 s6', 'AUTH was accepted'),
  goodbye: entry('221 2.0.0 Goodbye', 'RFC 5321 s4.1.1.10', 'QUIT'),
  'cannot-verify': entry('252 2.0.0 Cannot VRFY user, but will take mail and try', 'RFC 5321 s7.3', 'VRFY'),
  help: entry('214 2.0.0 EHLO HELO MAIL RCPT DATA BDAT RSET NOOP QUIT VRFY HELP', 'RFC 5321 s4.1.1.8', 'HELP'),

  'unknown-command': entry('500 5.5.1 Unknown command', 'RFC 5321 s4.2.4', 'the verb is not known'),
  'line-too-long': entry('500 5.5.2 Line too long', 'RFC 5321 s4.5.3.1.4', 'a command line over the limit'),
  'bad-characters': entry(
    '500 5.5.2 Control or non-ASCII character in a command',
    'RFC 5321 s2.3.8, s4.1.2',
    'a command holds an octet that no command may hold',
  ),
  'bad-line-end': entry(
    '500 5.5.2 Lines end in CR LF only',
    'RFC 5321 s2.3.8',
    'bare CR, bare LF or NUL in a command; closes',
  ),
  'bad-utf8': entry('501 5.5.2 Ill-formed UTF-8', 'RFC 6531 s3.3, RFC 3629', 'octets above ASCII that are no UTF-8'),
  'no-parameters-allowed': entry(
    '501 5.5.4 This command takes no argument',
    'RFC 5321 s4.1.1',
    'DATA, RSET, QUIT, STARTTLS with text behind',
  ),
  'bad-chunk-size': entry(
    '501 5.5.4 Give the size of the chunk in at most 15 digits',
    'RFC 3030 s2',
    'BDAT without a size: nobody knows what follows; closes',
  ),
  'bad-argument': entry('501 5.5.4 Syntax error in the argument', 'RFC 5321 s4.2.2', 'the argument breaks the grammar'),
  'bad-helo-name': entry(
    '501 5.5.4 Give a domain name or an address literal',
    'RFC 5321 s4.1.1.1',
    'EHLO or HELO argument',
  ),
  'bad-reverse-path': entry(
    '501 5.1.7 Bad sender address syntax',
    'RFC 5321 s4.1.2',
    'the path of MAIL breaks the grammar',
  ),
  'bad-forward-path': entry(
    '501 5.1.3 Bad recipient address syntax',
    'RFC 5321 s4.1.2',
    'the path of RCPT breaks the grammar',
  ),
  'path-too-long': entry(
    '501 5.1.0 Address too long',
    'RFC 5321 s4.5.3.1',
    'local part, domain or path over its limit',
  ),
  'needs-smtputf8': entry(
    '553 5.6.7 Internationalized addresses need SMTPUTF8',
    'RFC 6531 s3.2',
    'a non-ASCII address',
  ),
  'duplicate-parameter': entry(
    '501 5.5.4 Parameter given twice',
    'RFC 5321 s4.1.1.11',
    'a MAIL or RCPT parameter repeated',
  ),
  'bad-parameter': entry(
    '501 5.5.4 Bad parameter value',
    'RFC 5321 s4.1.1.11',
    'a known parameter with a value it cannot have',
  ),
  'unknown-parameter': entry(
    '555 5.5.4 Parameter not recognized or not implemented',
    'RFC 5321 s4.1.1.11',
    'a parameter that was not offered',
  ),

  'not-implemented': entry(
    '502 5.5.1 Command not implemented',
    'RFC 5321 s4.2.4',
    'EXPN, and commands of extensions that this session did not offer',
  ),
  'not-in-transaction': entry(
    '503 5.5.1 Not inside a transaction',
    'RFC 4954 s4, RFC 3207 s4',
    'AUTH, STARTTLS or XCLIENT inside a transaction',
  ),
  'chunks-started': entry(
    '503 5.5.1 Content has begun, send BDAT or RSET',
    'RFC 3030 s2',
    'RCPT or DATA between the chunks of a message',
  ),
  'need-reset': entry(
    '503 5.5.1 A chunk was refused, send RSET',
    'RFC 3030 s2',
    'what comes behind a refused chunk, up to RSET or the chunk marked LAST',
  ),
  'tls-active': entry('503 5.5.1 TLS is active already', 'RFC 3207 s4.2', 'STARTTLS under TLS'),
  'need-tls': entry('530 5.7.0 Must issue a STARTTLS command first', 'RFC 3207 s4', 'TLS is required and not there'),
  'need-auth': entry('530 5.7.0 Authentication required', 'RFC 4954 s6', 'MAIL without the authentication required'),
  'already-authenticated': entry('503 5.5.1 Already authenticated', 'RFC 4954 s4', 'AUTH a second time'),
  'unknown-mechanism': entry(
    '504 5.5.4 Authentication mechanism not offered',
    'RFC 4954 s4',
    'AUTH with a mechanism that is not there',
  ),
  'auth-needs-tls': entry(
    '538 5.7.11 Encryption required for this authentication mechanism',
    'RFC 4954 s6',
    'AUTH in the clear',
  ),
  'auth-failed': entry('535 5.7.8 Authentication credentials invalid', 'RFC 4954 s6', 'AUTH was refused'),
  'auth-cancelled': entry(
    '501 5.7.0 Authentication cancelled',
    'RFC 4954 s4',
    'the client answered a challenge with *',
  ),
  'auth-line-too-long': entry('500 5.5.6 Authentication line too long', 'RFC 4954 s4, s6', 'a response over the limit'),
  'bad-base64': entry('501 5.5.2 Cannot decode base64', 'RFC 4954 s4, s6', 'a response that is no strict base64'),
  'need-helo': entry('503 5.5.1 Send EHLO or HELO first', 'RFC 5321 s4.1.4', 'a mail command before EHLO'),
  'need-mail': entry('503 5.5.1 Send MAIL first', 'RFC 5321 s4.1.4', 'RCPT or DATA outside a transaction'),
  'transaction-started': entry('503 5.5.1 Transaction already started', 'RFC 5321 s4.1.4', 'MAIL inside a transaction'),
  'no-recipients': entry('554 5.5.1 No valid recipients', 'RFC 5321 s3.3', 'DATA when no RCPT was accepted'),

  'too-many-recipients': entry(
    '452 4.5.3 Too many recipients',
    'RFC 5321 s4.5.3.1.10',
    'RCPT over the limit; the accepted ones stay',
  ),
  'message-too-big': entry('552 5.3.4 Message too big', 'RFC 1870 s6.1', 'declared or sent size over the limit'),
  'bad-content': entry(
    '550 5.6.11 Content holds a bare CR, a bare LF or a NUL',
    'RFC 5321 s2.3.8, s4.1.1.4',
    'content with line ends other than CR LF; said at its true end',
  ),

  'early-talker': entry(
    '554 5.5.0 You spoke before the greeting',
    'RFC 5321 s4.3.1',
    'octets before the banner; closes',
  ),
  'bad-pipelining': entry(
    '554 5.5.0 Wait for the reply before you go on',
    'RFC 2920 s3.1',
    'input waiting behind EHLO, DATA, STARTTLS, AUTH or XCLIENT; closes',
  ),
  'not-smtp': entry('421 4.7.0 This is an SMTP port', 'RFC 5321 s3.8', 'HTTP or another protocol was spoken; closes'),
  'too-many-errors': entry(
    '421 4.7.0 Too many errors or idle commands',
    'RFC 5321 s3.8',
    'the error limit was passed; closes',
  ),
  'too-much-input': entry(
    '421 4.7.0 Too much input',
    'RFC 5321 s3.8',
    'more octets in flight than are ever held; closes',
  ),
  timeout: entry('421 4.4.2 Timeout', 'RFC 5321 s4.5.3.2', 'the client was silent or slow; closes'),
  'shutting-down': entry('421 4.3.2 Shutting down', 'RFC 5321 s3.8', 'the server stops; closes'),
  'internal-error': entry(
    '421 4.3.0 Internal error',
    'RFC 5321 s3.8',
    'a fault of ours outside of any command, or before the banner; this session only; closes',
  ),
  'engine-fault': entry(
    '451 4.3.0 Temporary system problem, try again later',
    'RFC 5321 s4.2.3',
    'a fault of ours in answering a command or a message',
  ),
  'auth-unavailable': entry('454 4.7.0 Temporary authentication failure', 'RFC 4954 s6', 'a fault of ours in AUTH'),
  'too-many-connections': entry(
    '421 4.7.0 Too many connections',
    'RFC 5321 s3.1',
    'over the cap of the listener or of the client; closes',
  ),
} as const satisfies Record<string, Entry>;

export type ReplyKey = keyof typeof REPLIES;

/** The catalogue's reply for a key: always the same frozen value. */
export function replyFor(key: ReplyKey): Reply {
  return REPLIES[key];
}
