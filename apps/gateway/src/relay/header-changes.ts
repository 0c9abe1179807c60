/** Changes that message rules make to the header: the stored content stays as it came, what goes out has them. */
import { open } from 'node:fs/promises';
import type { HeaderChange, QueuedMessage } from '#delivery';
import { rewriteHeader } from '#mime';

/** A header that is larger keeps what comes behind. */
const HEAD_BYTES = 1_048_576;

/** For content in memory. */
export function withHeaderChanges(message: QueuedMessage, changes: readonly HeaderChange[] | undefined): QueuedMessage {
  const { content } = message;
  if (changes === undefined || content.kind !== 'inline') return message;
  const { head, fromByte } = rewriteHeader(content.bytes, changes);
  const bytes = Buffer.concat([head, content.bytes.subarray(fromByte)]);
  return { ...message, content: { kind: 'inline', bytes }, sizeBytes: bytes.length };
}

/** For content wherever it is; spool files by their path. */
export async function changedMessage(message: QueuedMessage): Promise<QueuedMessage> {
  const { content, headerChanges } = message;
  if (headerChanges === undefined) return message;
  if (content.kind === 'inline') return withHeaderChanges(message, headerChanges);
  const edited = rewriteHeader(await beginningOf(content.file), headerChanges);
  const sizeBytes = content.sizeBytes - edited.fromByte + edited.head.length;
  return { ...message, content: { ...content, sizeBytes, edited }, sizeBytes };
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
