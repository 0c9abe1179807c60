/** Changes that rules make to the header: the stored content stays as it came, what goes out has them. */
import { open } from 'node:fs/promises';
import type { FieldEdit, HeaderChange, QueuedMessage, ResultsChange } from '#delivery';
import { AUTHENTICATION_RESULTS, claimsToBeFrom, foldField, readRawHeader } from '#mail-auth';
import { rewriteHeader } from '#mime';

/** A header that is larger keeps what comes behind. */
const HEAD_BYTES = 1_048_576;

/** The header as it goes out, instead of the first `fromByte` octets of the content: up to the empty line behind it. */
export interface EditedHeader {
  readonly head: Uint8Array;
  readonly fromByte: number;
  /** Octets of the empty line at `fromByte`; 0 when the content ends there, undefined when the end is out of sight. */
  readonly emptyLineBytes: number | undefined;
}

export async function editedHeader(
  { content, sizeBytes }: QueuedMessage,
  changes: readonly HeaderChange[],
): Promise<EditedHeader> {
  const beginning = content.kind === 'inline' ? content.bytes : await beginningOf(content.file);
  const { head, fromByte } = rewriteHeader(beginning, changes.filter(isEdit));
  const results = changes.find((change) => change.op === 'results');
  return {
    head: results === undefined ? head : withResults(head, results),
    fromByte,
    emptyLineBytes: emptyLine(beginning, { fromByte, sizeBytes }),
  };
}

function isEdit(change: HeaderChange): change is FieldEdit {
  return change.op === 'set' || change.op === 'add' || change.op === 'remove';
}

/** RFC 8601 s4, s5: on top of the trace fields, and nobody else speaks in our name. */
function withResults(head: Uint8Array, { authservId, value }: ResultsChange): Uint8Array {
  const { fields } = readRawHeader(head);
  const kept = fields.filter((field) => !claimsToBeFrom(field, authservId));
  const own = value === undefined ? '' : foldField(AUTHENTICATION_RESULTS, value.replace(/[^ -~]/g, '?'));
  if (kept.length === fields.length) return Buffer.concat([Buffer.from(own, 'latin1'), head]);
  return Buffer.from(own + kept.map(({ raw }) => `${raw}\r\n`).join(''), 'latin1');
}

/** The message with this header. */
export function withHeader(message: QueuedMessage, head: Uint8Array, fromByte: number): QueuedMessage {
  const { content } = message;
  if (content.kind === 'inline') {
    const bytes = Buffer.concat([head, content.bytes.subarray(fromByte)]);
    return { ...message, content: { kind: 'inline', bytes }, sizeBytes: bytes.length };
  }
  const sizeBytes = content.sizeBytes - fromByte + head.length;
  return { ...message, content: { ...content, sizeBytes, edited: { head, fromByte } }, sizeBytes };
}

const CR = 13;
const LF = 10;

function emptyLine(
  beginning: Uint8Array,
  { fromByte, sizeBytes }: { readonly fromByte: number; readonly sizeBytes: number },
): number | undefined {
  if (beginning[fromByte] === LF) return 1;
  if (beginning[fromByte] === CR && beginning[fromByte + 1] === LF) return 2;
  return fromByte >= sizeBytes ? 0 : undefined;
}

async function beginningOf(path: string): Promise<Uint8Array> {
  const file = await open(path, 'r');
  try {
    const buffer = Buffer.alloc(HEAD_BYTES);
    const { bytesRead } = await file.read(buffer, 0, HEAD_BYTES, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}
