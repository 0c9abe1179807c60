/**
 * The queue as relay sees it: rows name spool files, relay opens paths. Names are what is stored, so that a data
 * directory can be moved. A file goes as soon as its last recipient is recorded; what a crash leaves, the sweep finds.
 */
import { join } from 'node:path';
import type { ContentSource, QueuedMessage, QueueStore } from '#delivery';
import { changedMessage } from './header-changes.js';

export function spoolDirOf(dataDir: string): string {
  return join(dataDir, 'spool');
}

export interface Spool {
  /** `content` with the path of its file instead of the name. */
  readable(content: ContentSource): ContentSource;
  /** Recipients of these messages were finished; their files may be needless now. */
  finished(messageIds: readonly string[]): void;
}

export function spooledQueue(queue: QueueStore, spool: Spool): QueueStore {
  return {
    claim: async (limit) => {
      const claimed = await queue.claim(limit);
      const readable = claimed.map((message) => ({ ...message, content: spool.readable(message.content) }));
      return claimed.some(({ headerChanges }) => headerChanges !== undefined)
        ? Promise.all(readable.map(changedOrUnreadable))
        : readable;
    },
    record: async (outcomes, notices) => {
      const result = await queue.record(outcomes, notices);
      spool.finished(outcomes.flatMap((outcome) => (outcome.kind === 'done' ? [outcome.messageId] : [])));
      return result;
    },
    release: (recipientIds) => queue.release(recipientIds),
  };
}

/** A file that cannot be read fails its own attempt, where that is told, not the claim of others; it never goes out unchanged. */
function changedOrUnreadable(message: QueuedMessage): Promise<QueuedMessage> {
  return changedMessage(message).catch(() => ({ ...message, content: { kind: 'spool', file: '', sizeBytes: 0 } }));
}

/** The spool directory. Remembers which messages of this process's work have a file: most have none. */
export class SpoolDirectory implements Spool {
  readonly #withFile = new Set<string>();
  #onFinished: (messageIds: readonly string[]) => void = () => undefined;

  constructor(private readonly directory: string) {}

  onFinished(listener: (messageIds: readonly string[]) => void): void {
    this.#onFinished = listener;
  }

  readable(content: ContentSource): ContentSource {
    if (content.kind === 'inline') return content;
    this.#withFile.add(content.file);
    return { ...content, file: join(this.directory, content.file) };
  }

  finished(messageIds: readonly string[]): void {
    if (this.#withFile.size === 0) return;
    const files = messageIds.filter((id) => this.#withFile.has(id));
    if (files.length === 0) return;
    for (const id of files) this.#withFile.delete(id);
    this.#onFinished(files);
  }
}
