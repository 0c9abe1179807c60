/**
 * Every parser that reads what a stranger wrote, in one form: octets in, a value or nothing out, and, where the value
 * can be printed, the octets that must be read as the same value again.
 */
import {
  ContentDecoder,
  ReplyReader,
  decodeUnitext,
  decodeXtext,
  encodeReply,
  encodeXtext,
  parseAddressLiteral,
  parseDomain,
  parseForwardPath,
  printForwardPath,
  printPlain,
  printReversePath,
  readPlain,
  readSaslField,
  readScramClientFinal,
  readScramClientFirst,
  readScramServerFinal,
  readScramServerFirst,
  stuffContent,
} from '#smtp-core';
import type { Reply } from '#smtp-core';
import { StructureScanner, decodeWords, previewOf, readMailboxes, rewriteHeader } from '#mime';
import { readMessageHeaders } from '../../apps/gateway/src/inbound/message-headers.js';
import { readParameters } from '../../libs/mime/src/parameters.js';
import { decodeBase64 } from '../../libs/smtp-core/src/base64.js';
import { parseExtensions } from '../../libs/smtp-core/src/client-extensions.js';
import { parseCommand } from '../../libs/smtp-core/src/command.js';
import type { Command } from '../../libs/smtp-core/src/command.js';
import { parseEsmtpParams, printEsmtpParams } from '../../libs/smtp-core/src/esmtp-params.js';
import { LineReader } from '../../libs/smtp-core/src/line-reader.js';
import { decodeUtf8 } from '../../libs/smtp-core/src/utf8.js';
import { readXclientAttributes } from '../../libs/smtp-core/src/xclient.js';
import { readProxyHeader } from '../../libs/smtp-net/src/proxy-header.js';

export interface Target {
  readonly name: string;
  /** Its file in test/fuzz. */
  readonly corpus: string;
  /** Undefined: refused. */
  readonly read: (octets: Buffer) => unknown;
}

/** A parser whose values can be printed. */
export interface PrintingTarget<Value = unknown> extends Target {
  readonly read: (octets: Buffer) => Value | undefined;
  readonly print: (value: Value) => Buffer;
}

/** A parser that octets reach in pieces, cut anywhere. */
export interface StreamTarget {
  readonly name: string;
  readonly corpus: string;
  readonly open: () => { readonly write: (piece: Buffer) => void; readonly end: () => unknown };
}

const OFFERED = { offered: { smtpUtf8: true, dsn: true, auth: true }, utf8: true } as const;

const text = (octets: Buffer): string => octets.toString('latin1');
const inOctets = (utf16: string): Buffer => Buffer.from(utf16, 'utf8');
const printing = <Value>(target: PrintingTarget<Value>): PrintingTarget => target as PrintingTarget;

export const PRINTING: readonly PrintingTarget[] = [
  printing({
    name: 'commands',
    corpus: 'commands',
    read: (octets) => {
      const parsed = parseCommand(text(octets), OFFERED);
      return parsed.ok ? parsed.command : undefined;
    },
    print: (command: Command) => inOctets(printCommand(command)),
  }),
  printing({
    name: 'paths',
    corpus: 'paths',
    read: (octets) => {
      const utf16 = decodeUtf8(text(octets));
      const parsed = utf16 === undefined ? undefined : parseForwardPath(utf16, { smtpUtf8: true });
      return parsed?.ok === true ? parsed.path : undefined;
    },
    print: (path) => inOctets(printForwardPath(path)),
  }),
  printing({
    name: 'parameters of MAIL and RCPT',
    corpus: 'params',
    read: (octets) => {
      const parsed = parseEsmtpParams(octets.toString());
      return parsed.ok ? parsed.params : undefined;
    },
    print: (params) => inOctets(printEsmtpParams(params)),
  }),
  printing({
    name: 'xtext',
    corpus: 'xtext',
    read: (octets) => decodeXtext(text(octets)),
    print: (decoded) => Buffer.from(encodeXtext(decoded), 'latin1'),
  }),
  printing({
    name: 'base64',
    corpus: 'base64',
    read: (octets) => decodeBase64(text(octets)),
    print: (decoded) => Buffer.from(decoded.toString('base64')),
  }),
  printing({ name: 'PLAIN', corpus: 'sasl', read: readPlain, print: printPlain }),
  printing({
    name: 'SCRAM, the first message',
    corpus: 'sasl',
    read: readScramClientFirst,
    print: ({ gs2Header, bare }) => inOctets(gs2Header + bare),
  }),
  printing({
    name: 'XCLIENT',
    corpus: 'xclient',
    read: (octets) => readXclientAttributes(text(octets)),
    print: (attributes) => inOctets(printAttributes(attributes)),
  }),
  printing({
    name: 'domains',
    corpus: 'domains',
    read: (octets) => parseDomain(octets.toString()) ?? parseAddressLiteral(octets.toString()),
    print: inOctets,
  }),
  printing({
    name: 'PROXY headers',
    corpus: 'proxy',
    read: (octets) => {
      const header = readProxyHeader(octets);
      return header.kind === 'done' ? header.client : undefined;
    },
    print: ({ address, port }) => {
      const [family, destination] = address.includes(':') ? ['TCP6', '::1'] : ['TCP4', '127.0.0.1'];
      return inOctets(`PROXY ${family} ${address} ${destination} ${String(port)} 25\r\n`);
    },
  }),
];

export const READING: readonly Target[] = [
  { name: 'SCRAM, the other messages', corpus: 'sasl', read: readScramRest },
  { name: 'SASL fields', corpus: 'sasl', read: readSaslField },
  { name: 'unitext', corpus: 'xtext', read: (octets) => decodeUnitext(octets.toString()) },
  { name: 'header fields for the audit', corpus: 'message', read: readMessageHeaders },
  { name: 'previews', corpus: 'message', read: previewOf },
  {
    name: 'changes of a header',
    corpus: 'message',
    read: (octets) => rewriteHeader(octets, [{ op: 'set', name: 'subject', value: 'x' }]).fromByte,
  },
  { name: 'From addresses', corpus: 'addresses', read: (octets) => readMailboxes(octets.toString(), 1000) },
  {
    name: 'parameters of header fields',
    corpus: 'parameters',
    read: (octets) => readParameters(octets.toString(), 100),
  },
  { name: 'encoded words', corpus: 'words', read: (octets) => decodeWords(octets.toString()) },
];

export const STREAMS: readonly StreamTarget[] = [
  { name: 'the line reader', corpus: 'commands', open: () => lines(new LineReader(4096)) },
  {
    name: 'the reply reader',
    corpus: 'replies',
    open: replies,
  },
  { name: 'content of DATA', corpus: 'content', open: () => content('dots') },
  { name: 'content of BDAT', corpus: 'content', open: () => content('chunks') },
  {
    name: 'the MIME scanner',
    corpus: 'message',
    open: structure,
  },
];

function replies(): ReturnType<StreamTarget['open']> {
  const reader = new ReplyReader();
  let last: readonly Reply[] = [];
  const write = (piece: Buffer): void => {
    last = [...last, ...reader.read(piece).slice(-100)].slice(-100);
  };
  const end = (): unknown => {
    return { told: last.map(encodeReply), offered: last.map(parseExtensions), fault: reader.fault };
  };
  return { write, end };
}

function structure(): ReturnType<StreamTarget['open']> {
  const scanner = new StructureScanner({ structure: true });
  const write = (piece: Buffer): void => {
    scanner.write(piece);
  };
  return { write, end: () => scanner.report() };
}

/** After a wrong line end nobody reads on: the session is over. */
function lines(reader: LineReader): ReturnType<StreamTarget['open']> {
  let [count, longest, tooLong] = [0, 0, 0];
  let isOver = false;
  const write = (piece: Buffer): void => {
    for (let at = 0; at < piece.length && !isOver; at = reader.next) {
      const event = reader.read(piece, at);
      if (event === undefined) break;
      count += 1;
      if (event.kind === 'line') longest = Math.max(longest, event.text.length);
      else if (event.kind === 'too-long') tooLong += 1;
      else isOver = true;
    }
  };
  return { write, end: () => ({ count, longest, tooLong, isOver }) };
}

/** Up to the terminator; what was kept stays canonical, so that it can be stuffed and read again. */
function content(framing: 'dots' | 'chunks'): ReturnType<StreamTarget['open']> {
  const decoder = new ContentDecoder(Number.POSITIVE_INFINITY, framing);
  let kept: Buffer[] = [];
  let keptOctets = 0;
  let ended = false;
  const keep = (octets: Uint8Array): void => {
    keptOctets += octets.length;
    if (keptOctets <= 65_536) kept.push(Buffer.from(octets));
    else kept = [];
  };
  const write = (piece: Buffer): void => {
    if (!ended) ended = decoder.read(piece, 0, keep) >= 0;
  };
  const end = (): unknown => {
    if (framing === 'chunks') decoder.finish(keep);
    const octets = Buffer.concat(kept);
    if (decoder.fault === undefined && (ended || framing === 'chunks')) readAgain(octets);
    return { octets: octets.toString('latin1'), keptOctets, fault: decoder.fault, ended };
  };
  return { write, end };
}

function readAgain(octets: Buffer): void {
  const again: Uint8Array[] = [];
  const stuffed = Buffer.from(stuffContent(octets));
  const end = new ContentDecoder().read(stuffed, 0, (more) => again.push(more));
  if (end !== stuffed.length || !Buffer.concat(again).equals(octets))
    throw new Error('what is sent on is read otherwise');
}

function readScramRest(octets: Buffer): unknown {
  return readScramClientFinal(octets) ?? readScramServerFirst(octets) ?? readScramServerFinal(octets);
}

function printCommand(command: Command): string {
  switch (command.verb) {
    case 'EHLO':
    case 'HELO':
      return `${command.verb} ${command.domain}`;
    case 'MAIL': {
      const { sizeBytes, body, smtpUtf8, ret, envelopeId, authParam } = command.params;
      const params = { SIZE: sizeBytes, BODY: body, RET: ret, ENVID: envelopeId, AUTH: authParam };
      const utf8 = smtpUtf8 === true ? ' SMTPUTF8' : '';
      return `MAIL FROM:${printReversePath(command.reversePath)}${printParams(params)}${utf8}`;
    }
    case 'RCPT': {
      const { notify, originalRecipient } = command.params;
      const params = { NOTIFY: notify?.join(','), ORCPT: originalRecipient };
      return `RCPT TO:${printForwardPath(command.forwardPath)}${printParams(params)}`;
    }
    case 'BDAT':
      return `BDAT ${String(command.sizeBytes)}${command.last ? ' LAST' : ''}`;
    case 'AUTH':
      return `AUTH ${command.mechanism}${command.response === undefined ? '' : ` ${command.response}`}`;
    case 'XCLIENT':
      return `XCLIENT ${printAttributes(command.attributes)}`;
    case 'VRFY':
    case 'EXPN':
      return `${command.verb} x`;
    default:
      return command.verb;
  }
}

function printParams(params: Readonly<Record<string, string | number | undefined>>): string {
  const given = Object.entries(params).filter(([, value]) => value !== undefined);
  return given
    .map(([name, value]) => ` ${name}=${typeof value === 'number' ? BigInt(value).toString() : value}`)
    .join('');
}

function printAttributes(attributes: ReadonlyMap<string, string>): string {
  return Array.from(attributes, ([name, value]) => {
    return `${name}=${encodeXtext(Buffer.from(value, 'utf8').toString('latin1'))}`;
  }).join(' ');
}
