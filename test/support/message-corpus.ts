/**
 * Messages to send: the files of `test/messages`, and those too large or too odd to keep in the repository, made at run
 * time from a fixed seed. Contents have CRLF line ends and no dot stuffing.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const FOLDER = join(import.meta.dirname, '../messages');

/** Fields a gateway or the delivery into a mailbox may put before a message. */
const TRACE_FIELD = /^(Received|Return-Path|Delivered-To|X-Original-To):/i;

export interface CorpusMessage {
  readonly name: string;
  readonly content: Buffer;
}

/** The committed files, in order of their numbers. */
export function committedMessages(): CorpusMessage[] {
  return readdirSync(FOLDER)
    .filter((name) => name.endsWith('.eml'))
    .sort()
    .map((name) => ({ name, content: readFileSync(join(FOLDER, name)) }));
}

/** Shapes that need many octets, or none. Without the 25 MB one, which is `largeMessage`. */
export function generatedMessages(): CorpusMessage[] {
  return [
    { name: 'generated: no octet at all', content: Buffer.alloc(0) },
    { name: 'generated: 20,000 lone dots', content: Buffer.from('Subject: dots\r\n\r\n' + '.\r\n'.repeat(20_000)) },
    { name: 'generated: 50,000 empty lines', content: Buffer.from('Subject: empty\r\n\r\n' + '\r\n'.repeat(50_000)) },
    { name: 'generated: multiparts 200 deep', content: nestedMultiparts(200) },
    { name: 'generated: 990 header fields', content: manyFields(990) },
    { name: 'generated: one line of 300 kB', content: Buffer.from(`Subject: line\r\n\r\n${'.'.repeat(300_000)}\r\n`) },
    ...[16_383, 16_384, 16_385, 65_535, 65_536, 65_537].map((size) => ({
      name: `generated: ${String(size)} octets`,
      content: largeMessage(size),
    })),
  ];
}

/**
 * A message of exactly `sizeBytes` octets: base64-like lines, every hundredth begins with dots, ends with CRLF.
 * The same size gives the same octets.
 */
export function largeMessage(sizeBytes: number): Buffer {
  const head = `From: Ann <ann@client.example>\r\nTo: bob@dest.example\r\nSubject: ${String(sizeBytes)} octets\r\n\r\n`;
  const content = Buffer.alloc(sizeBytes, 'x', 'latin1');
  let at = content.write(head, 'latin1');
  const next = randomOctets(sizeBytes);
  for (let line = 0; at < sizeBytes - 2; line += 1) {
    const length = Math.min(76, sizeBytes - 2 - at);
    for (let column = 0; column < length; column += 1) content[at + column] = 33 + (next() % 90);
    if (line % 100 === 0) content.write('..'.slice(0, length), at, 'latin1');
    at += length;
    at += content.write('\r\n', at, 'latin1');
  }
  content.write('\r\n', sizeBytes - 2, 'latin1');
  return content;
}

/** What a client sends for a content: SMTP has no content that does not end with CRLF, except the empty one. */
function asTransmitted(content: Buffer): Buffer {
  const complete = content.length === 0 || content.subarray(-2).equals(Buffer.from('\r\n'));
  return complete ? content : Buffer.concat([content, Buffer.from('\r\n')]);
}

/** Trace fields that were put before `sent`; throws with the place of the first difference when more was changed. */
export function traceBefore(sent: Buffer, arrived: Buffer): string[] {
  const expected = asTransmitted(sent);
  const prefix = arrived.subarray(0, Math.max(0, arrived.length - expected.length));
  const rest = arrived.subarray(prefix.length);
  if (!rest.equals(expected)) throw new Error(describeDifference(expected, arrived));
  const fields = prefix
    .toString('latin1')
    .split(/\r\n(?![ \t])/)
    .filter((field) => field !== '');
  const strange = fields.find((field) => !TRACE_FIELD.test(field));
  if (strange !== undefined) throw new Error(`put before the message, but no trace field: ${JSON.stringify(strange)}`);
  if (prefix.length > 0 && !prefix.toString('latin1').endsWith('\r\n')) throw new Error('trace does not end with CRLF');
  return fields;
}

function describeDifference(expected: Buffer, arrived: Buffer): string {
  const expectedLines = expected.toString('latin1').split('\r\n').reverse();
  const arrivedLines = arrived.toString('latin1').split('\r\n').reverse();
  const at = expectedLines.findIndex((line, index) => line !== arrivedLines[index]);
  const show = (line: string | undefined): string => JSON.stringify(line?.slice(0, 120));
  return [
    `sent ${String(expected.length)} octets, ${String(arrived.length)} arrived;`,
    `line ${String(at)} from the end: sent ${show(expectedLines[at])}, arrived ${show(arrivedLines[at])}`,
  ].join(' ');
}

function nestedMultiparts(depth: number): Buffer {
  const open = Array.from(
    { length: depth },
    (_, level) => `Content-Type: multipart/mixed; boundary=n${String(level)}\r\n\r\n--n${String(level)}\r\n`,
  );
  const close = Array.from({ length: depth }, (_, level) => `--n${String(depth - 1 - level)}--\r\n`);
  return Buffer.from(`MIME-Version: 1.0\r\n${open.join('')}\r\ndeep\r\n${close.join('')}`);
}

function manyFields(count: number): Buffer {
  const fields = Array.from({ length: count }, (_, index) => `X-Field-${String(index)}: ${'v'.repeat(index % 60)}\r\n`);
  return Buffer.from(`${fields.join('')}\r\nbody\r\n`);
}

/** xorshift32: small, and the same everywhere. */
function randomOctets(seed: number): () => number {
  let state = (seed ^ 0x9e3779b9) >>> 0 || 1;
  return () => {
    state ^= (state << 13) >>> 0;
    state ^= state >>> 17;
    state ^= (state << 5) >>> 0;
    state >>>= 0;
    return state >>> 8;
  };
}
