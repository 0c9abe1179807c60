/** Changes that rules make to the header: the stored content stays as it came, what goes out has them. */
import { open } from 'node:fs/promises';
import type { FieldEdit, HeaderChange, QueuedMessage } from '#delivery';
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
  const edits = changes.filter((change): change is FieldEdit => change.op !== 'sign');
  const { head, fromByte } = rewriteHeader(beginning, edits);
  return { head, fromByte, emptyLineBytes: emptyLine(beginning, { fromByte, sizeBytes }) };
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
