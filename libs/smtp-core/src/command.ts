/**
 * One command line → `Command`, or the verb and what is wrong with it. RFC 5321 s4.1.1, s4.1.2.
 *
 * Case does not matter, trailing spaces are tolerated (s4.1.1), and so are spaces behind `FROM:` and `TO:`: common in
 * the wild and harmless. Everything else follows the grammar. Whether the verb fits the moment is `phase-table.ts`.
 */
import { parseAddressLiteral } from './domain.js';
import { readMailParams, readRcptParams } from './esmtp-params.js';
import { findPathEnd, parseForwardPath, parseReversePath } from './path.js';
import type { ForwardPath, PathFault, PathResult, ReversePath } from './path.js';
import type { ReplyKey } from './reply-catalogue.js';
import type { MailParams } from './session-io.js';

export type Verb =
  | 'EHLO' | 'HELO' | 'MAIL' | 'RCPT' | 'DATA' | 'RSET' | 'NOOP' | 'QUIT' | 'VRFY' | 'EXPN' | 'HELP'
  | 'STARTTLS' | 'AUTH' | 'BDAT'; // prettier-ignore

export type Command =
  | { readonly verb: 'EHLO' | 'HELO'; readonly domain: string }
  | { readonly verb: 'MAIL'; readonly reversePath: ReversePath; readonly params: MailParams }
  | { readonly verb: 'RCPT'; readonly forwardPath: ForwardPath }
  | { readonly verb: 'BDAT'; readonly sizeBytes: number; readonly last: boolean }
  | { readonly verb: Exclude<Verb, 'EHLO' | 'HELO' | 'MAIL' | 'RCPT' | 'BDAT'> };

/** `verb` is absent when it is not one of ours. `foreign`: the peer speaks another protocol, or content. */
export interface CommandFault {
  readonly verb?: Verb;
  readonly reply: ReplyKey;
  readonly foreign?: true;
}

export type CommandResult =
  { readonly ok: true; readonly command: Command } | { readonly ok: false; readonly fault: CommandFault };

const NOT_PRINTABLE = /[^\x20-\x7e]/;
const CONTROL = /[\x00-\x1f\x7f]/;
// More than LDH: hosts name themselves `WIN_7` and `host.`; whether that is acceptable is the policy's matter.
const HELO_NAME = /^[A-Za-z0-9._-]{1,255}$/;
const HTTP_VERB = /^(?:GET|HEAD|POST|PUT|DELETE|CONNECT|OPTIONS|TRACE|PATCH) /i;
const HEADER_LINE = /^[!-9;-~]+:(?: |$)/;
const CHUNK = /^(\d{1,15})( LAST)?$/i;

/** Reads one line, given as one character per octet and without its CR LF. Never throws. */
export function parseCommand(line: string): CommandResult {
  const space = line.indexOf(' ');
  const verb = (space < 0 ? line : line.slice(0, space)).toUpperCase();
  const argument = space < 0 ? '' : line.slice(space + 1).trimEnd();
  const read = READERS.get(verb);
  if (read === undefined) return unknown(line);
  if (NOT_PRINTABLE.test(argument) && ((verb !== 'MAIL' && verb !== 'RCPT') || CONTROL.test(argument))) {
    return { ok: false, fault: { verb: verb as Verb, reply: 'bad-characters' } };
  }
  const result = read(argument);
  return 'verb' in result ? { ok: true, command: result } : { ok: false, fault: { verb: verb as Verb, ...result } };
}

type Reading = Command | { readonly reply: ReplyKey };

const READERS: ReadonlyMap<string, (argument: string) => Reading> = new Map<Verb, (argument: string) => Reading>([
  ['EHLO', (argument) => readHelo('EHLO', argument)],
  ['HELO', (argument) => readHelo('HELO', argument)],
  ['MAIL', readMail],
  ['RCPT', readRcpt],
  ['DATA', (argument) => readBare('DATA', argument)],
  ['RSET', (argument) => readBare('RSET', argument)],
  ['QUIT', (argument) => readBare('QUIT', argument)],
  ['STARTTLS', (argument) => readBare('STARTTLS', argument)],
  ['NOOP', () => ({ verb: 'NOOP' })],
  ['HELP', () => ({ verb: 'HELP' })],
  ['VRFY', (argument) => (argument === '' ? { reply: 'bad-argument' } : { verb: 'VRFY' })],
  ['EXPN', (argument) => (argument === '' ? { reply: 'bad-argument' } : { verb: 'EXPN' })],
  ['AUTH', (argument) => (argument === '' ? { reply: 'bad-argument' } : { verb: 'AUTH' })],
  ['BDAT', readBdat],
]);

function unknown(line: string): CommandResult {
  const foreign = HTTP_VERB.test(line) || HEADER_LINE.test(line);
  return { ok: false, fault: foreign ? { reply: 'not-smtp', foreign } : { reply: 'unknown-command' } };
}

function readHelo(verb: 'EHLO' | 'HELO', argument: string): Reading {
  const domain = HELO_NAME.test(argument) ? argument.toLowerCase() : parseAddressLiteral(argument);
  return domain === undefined ? { reply: 'bad-helo-name' } : { verb, domain };
}

function readBare(verb: 'DATA' | 'RSET' | 'QUIT' | 'STARTTLS', argument: string): Reading {
  return argument === '' ? { verb } : { reply: 'no-parameters-allowed' };
}

function readMail(argument: string): Reading {
  const parts = splitPath(argument, 'FROM:');
  if (parts === undefined) return { reply: 'bad-argument' };
  const path = parseReversePath(parts.path);
  if (!path.ok) return { reply: pathReply(path.fault, 'bad-reverse-path') };
  const read = readMailParams(parts.params);
  return read.ok ? { verb: 'MAIL', reversePath: path.path, params: read.params } : { reply: read.fault };
}

function readRcpt(argument: string): Reading {
  const parts = splitPath(argument, 'TO:');
  if (parts === undefined) return { reply: 'bad-argument' };
  const path: PathResult<ForwardPath> = parseForwardPath(parts.path);
  if (!path.ok) return { reply: pathReply(path.fault, 'bad-forward-path') };
  const read = readRcptParams(parts.params);
  return read.ok ? { verb: 'RCPT', forwardPath: path.path } : { reply: read.fault };
}

function readBdat(argument: string): Reading {
  const match = CHUNK.exec(argument);
  if (match === null) return { reply: 'bad-argument' };
  return { verb: 'BDAT', sizeBytes: Number(match[1]), last: match[2] !== undefined };
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
