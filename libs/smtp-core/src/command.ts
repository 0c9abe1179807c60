/**
 * One command line → `Command`, or the verb and what is wrong with it. RFC 5321 s4.1.1, s4.1.2; RFC 6531 s3.3 (UTF-8);
 * RFC 4954 s4 (AUTH); RFC 3030 s2 (BDAT).
 *
 * Case does not matter, trailing spaces are tolerated (s4.1.1), and so are spaces behind `FROM:` and `TO:`: common in
 * the wild and harmless. Everything else follows the grammar. Whether the verb fits the moment is `phase-table.ts`.
 */
import { parseAddressLiteral, parseDomain } from './domain.js';
import { readMailParams, readRcptParams } from './envelope-params.js';
import type { OfferedParams } from './envelope-params.js';
import { isForeign } from './foreign-protocols.js';
import { findPathEnd, parseForwardPath, parseReversePath } from './path.js';
import type { ForwardPath, PathFault, PathOptions, ReversePath } from './path.js';
import type { ReplyKey } from './reply-catalogue.js';
import type { MailParams, RcptParams } from './session-io.js';
import { decodeUtf8, holdsForbiddenCharacter, isAscii } from './utf8.js';
import { readXclientAttributes } from './xclient.js';

export type Verb =
  | 'EHLO' | 'HELO' | 'MAIL' | 'RCPT' | 'DATA' | 'RSET' | 'NOOP' | 'QUIT' | 'VRFY' | 'EXPN' | 'HELP'
  | 'STARTTLS' | 'AUTH' | 'BDAT' | 'XCLIENT'; // prettier-ignore

export type Command =
  | { readonly verb: 'EHLO' | 'HELO'; readonly domain: string }
  | { readonly verb: 'MAIL'; readonly reversePath: ReversePath; readonly params: MailParams }
  | { readonly verb: 'RCPT'; readonly forwardPath: ForwardPath; readonly params: RcptParams }
  | { readonly verb: 'BDAT'; readonly sizeBytes: number; readonly last: boolean }
  /** `response` is what stood behind the mechanism, undecoded. */
  | { readonly verb: 'AUTH'; readonly mechanism: string; readonly response: string | undefined }
  | { readonly verb: 'XCLIENT'; readonly attributes: ReadonlyMap<string, string> }
  | { readonly verb: Exclude<Verb, 'EHLO' | 'HELO' | 'MAIL' | 'RCPT' | 'BDAT' | 'AUTH' | 'XCLIENT'> };

/** `verb` is absent when it is not one of ours. `foreign`: the peer speaks another protocol, or content. */
export interface CommandFault {
  readonly verb?: Verb;
  readonly reply: ReplyKey;
  readonly foreign?: true;
}

export type CommandResult =
  { readonly ok: true; readonly command: Command } | { readonly ok: false; readonly fault: CommandFault };

/** What the line is read by: the parameters this session offers, and whether the transaction is in UTF-8. */
export interface Grammar {
  readonly offered: OfferedParams;
  readonly utf8: boolean;
}

const NOT_PRINTABLE = /[^\x20-\x7e]/;
const CONTROL = /[\x00-\x1f\x7f]/;
// More than LDH: hosts name themselves `WIN_7` and `host.`; whether that is acceptable is the policy's matter.
const HELO_NAME = /^[A-Za-z0-9._-]{1,255}$/;
const CHUNK = /^(\d{1,15})( LAST)?$/i;
const SASL_START = /^([A-Za-z0-9_-]{1,20})(?: +(\S+))?$/;
const UTF8_MARK = / +SMTPUTF8$/i;
/** Verbs whose argument may hold octets above ASCII. */
const UTF8_VERBS: ReadonlySet<string> = new Set<Verb>(['MAIL', 'RCPT', 'EHLO', 'VRFY', 'EXPN']);
const IN_UTF8: PathOptions = { smtpUtf8: true };
const IN_ASCII: PathOptions = {};

/** Reads one line, given as one character per octet and without its CR LF. Never throws. */
export function parseCommand(line: string, grammar: Grammar): CommandResult {
  const space = line.indexOf(' ');
  const verb = (space < 0 ? line : line.slice(0, space)).toUpperCase();
  const octets = space < 0 ? '' : line.slice(space + 1).trimEnd();
  const read = READERS.get(verb);
  if (read === undefined) return unknown(line);
  let argument = octets;
  if (NOT_PRINTABLE.test(octets)) {
    if (!UTF8_VERBS.has(verb) || CONTROL.test(octets)) return fault(verb, 'bad-characters');
    const text = decodeUtf8(octets);
    if (text === undefined) return fault(verb, 'bad-utf8');
    argument = text;
  }
  const result = read(argument, grammar);
  return 'verb' in result ? { ok: true, command: result } : fault(verb, result.reply);
}

type Reading = Command | { readonly reply: ReplyKey };
type Reader = (argument: string, grammar: Grammar) => Reading;

const READERS: ReadonlyMap<string, Reader> = new Map<Verb, Reader>([
  ['EHLO', readEhlo],
  ['HELO', (argument) => readHelo('HELO', argument)],
  ['MAIL', readMail],
  ['RCPT', readRcpt],
  ['DATA', (argument) => readBare('DATA', argument)],
  ['RSET', (argument) => readBare('RSET', argument)],
  ['QUIT', (argument) => readBare('QUIT', argument)],
  ['STARTTLS', (argument) => readBare('STARTTLS', argument)],
  ['NOOP', () => ({ verb: 'NOOP' })],
  ['HELP', () => ({ verb: 'HELP' })],
  ['VRFY', (argument, grammar) => readString('VRFY', argument, grammar)],
  ['EXPN', (argument, grammar) => readString('EXPN', argument, grammar)],
  ['AUTH', readAuth],
  ['BDAT', readBdat],
  ['XCLIENT', readXclient],
]);

function fault(verb: string, reply: ReplyKey): CommandResult {
  return { ok: false, fault: { verb: verb as Verb, reply } };
}

function unknown(line: string): CommandResult {
  const fault: CommandFault = isForeign(line) ? { reply: 'not-smtp', foreign: true } : { reply: 'unknown-command' };
  return { ok: false, fault };
}

/** With SMTPUTF8 a name in U-labels is understood; what is kept are its A-labels. */
function readEhlo(argument: string, { offered }: Grammar): Reading {
  if (isAscii(argument) || !offered.smtpUtf8) return readHelo('EHLO', argument);
  const domain = holdsForbiddenCharacter(argument) ? undefined : parseDomain(argument);
  return domain === undefined ? { reply: 'bad-helo-name' } : { verb: 'EHLO', domain };
}

function readHelo(verb: 'EHLO' | 'HELO', argument: string): Reading {
  const domain = HELO_NAME.test(argument) ? argument.toLowerCase() : parseAddressLiteral(argument);
  return domain === undefined ? { reply: 'bad-helo-name' } : { verb, domain };
}

function readBare(verb: 'DATA' | 'RSET' | 'QUIT' | 'STARTTLS', argument: string): Reading {
  return argument === '' ? { verb } : { reply: 'no-parameters-allowed' };
}

function readMail(argument: string, { offered }: Grammar): Reading {
  const parts = splitPath(argument, 'FROM:');
  if (parts === undefined) return { reply: 'bad-argument' };
  const read = readMailParams(parts.params, offered);
  const utf8 = offered.smtpUtf8 && read.ok && read.params.smtpUtf8 === true;
  const path = parseReversePath(parts.path, utf8 ? IN_UTF8 : IN_ASCII);
  if (!path.ok) return { reply: pathReply(path.fault, 'bad-reverse-path') };
  return read.ok ? { verb: 'MAIL', reversePath: path.path, params: read.params } : { reply: read.fault };
}

function readRcpt(argument: string, { offered, utf8 }: Grammar): Reading {
  const parts = splitPath(argument, 'TO:');
  if (parts === undefined) return { reply: 'bad-argument' };
  const path = parseForwardPath(parts.path, utf8 ? IN_UTF8 : IN_ASCII);
  if (!path.ok) return { reply: pathReply(path.fault, 'bad-forward-path') };
  const read = readRcptParams(parts.params, offered, utf8);
  return read.ok ? { verb: 'RCPT', forwardPath: path.path, params: read.params } : { reply: read.fault };
}

function readBdat(argument: string): Reading {
  const match = CHUNK.exec(argument);
  if (match === null) return { reply: 'bad-chunk-size' };
  return { verb: 'BDAT', sizeBytes: Number(match[1]), last: match[2] !== undefined };
}

function readAuth(argument: string): Reading {
  const match = SASL_START.exec(argument);
  if (match?.[1] === undefined) return { reply: 'bad-argument' };
  return { verb: 'AUTH', mechanism: match[1].toUpperCase(), response: match[2] };
}

function readXclient(argument: string): Reading {
  const attributes = readXclientAttributes(argument);
  return attributes === undefined ? { reply: 'bad-argument' } : { verb: 'XCLIENT', attributes };
}

/** RFC 6531 s3.7.4.2: SMTPUTF8 behind the string says that UTF-8 may come and go. */
function readString(verb: 'VRFY' | 'EXPN', argument: string, { offered }: Grammar): Reading {
  const marked = offered.smtpUtf8 && UTF8_MARK.test(argument);
  const text = marked ? argument.replace(UTF8_MARK, '') : argument;
  if (text === '') return { reply: 'bad-argument' };
  if (isAscii(text)) return { verb };
  if (!marked) return { reply: 'needs-smtputf8' };
  return holdsForbiddenCharacter(text) ? { reply: 'bad-argument' } : { verb };
}

/** `FROM:<path> params`; a path without brackets is passed on to fail there. */
function splitPath(argument: string, keyword: string): { path: string; params: string } | undefined {
  if (argument.slice(0, keyword.length).toUpperCase() !== keyword) return undefined;
  let start = keyword.length;
  while (argument[start] === ' ') start += 1;
  const end = findPathEnd(argument, start);
  if (end < 0) return { path: argument.slice(start), params: '' };
  if (end < argument.length && argument[end] !== ' ') return { path: argument.slice(start), params: '' };
  return { path: argument.slice(start, end), params: argument.slice(end + 1) };
}

function pathReply(fault: PathFault, syntax: ReplyKey): ReplyKey {
  if (fault === 'needs-smtputf8') return 'needs-smtputf8';
  return fault === 'too-long' ? 'path-too-long' : syntax;
}
