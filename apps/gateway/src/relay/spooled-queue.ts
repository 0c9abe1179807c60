/**
 * The queue as relay sees it: rows name spool files, relay opens paths. Names are what is stored, so that a data
 * directory can be moved.
 */
import { join } from 'node:path';
import type { ContentSource, QueuedMessage, QueueStore } from '#delivery';

export function spooledQueue(queue: QueueStore, spoolDir: string): QueueStore {
  return {
    claim: async (limit) =>
      (await queue.claim(limit)).map((message) => ({ ...message, content: spooledContent(message.content, spoolDir) })),
    record: (outcomes, notices) => queue.record(outcomes, notices),
    release: (recipientIds) => queue.release(recipientIds),
  };
}

/** `content` with the path of its file instead of the name. */
export function spooledContent(content: ContentSource, spoolDir: string): QueuedMessage['content'] {
  return content.kind === 'inline' ? content : { ...content, file: join(spoolDir, content.file) };
}
