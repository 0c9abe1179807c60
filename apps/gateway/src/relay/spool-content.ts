/** Content of a message from its spool file, with the header that goes out where a rule changed it. */
import { createReadStream } from 'node:fs';
import type { ContentSource } from '#delivery';

const READ_BYTES = 65_536;

type SpoolContent = Extract<ContentSource, { kind: 'spool' }>;

/** Opens the file only when the first block is wanted: a transaction may end before its content is asked for. */
export async function* readSpool({ file, edited }: SpoolContent): AsyncIterable<Uint8Array> {
  if (edited !== undefined) yield edited.head;
  const start = edited?.fromByte ?? 0;
  for await (const chunk of createReadStream(file, { highWaterMark: READ_BYTES, start })) yield chunk as Uint8Array;
}
