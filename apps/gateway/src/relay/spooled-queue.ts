/**
 * The queue as relay sees it: rows name spool files, relay opens paths. Names are what is stored, so that a data
 * directory can be moved. A file goes as soon as its last recipient is recorded; what a crash leaves, the sweep finds.
 * Content in the database is copied to a file of the spool first: any gateway can do that, also for one that died.
 */
import { open, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { ContentSource, QueuedMessage, QueueStore } from '#delivery';
import { chunksOf } from '../inbound/body-store.js';
import type { OutgoingMail } from './outgoing-mail.js';

export function spoolDirOf(dataDir: string): string {
  return join(dataDir, 'spool');
}

export interface Spool {
  /** `content` with the path of its file instead of the name. */
  readable(content: ContentSource): ContentSource;
  /** The same, after content that lies in the database was copied here. */
  fetched(content: ContentSource): Promise<ContentSource>;
  /** Recipients of these messages were finished; their files may be needless now. */
  finished(messageIds: readonly string[]): void;
}

export function spooledQueue(queue: QueueStore, spool: Spool, outgoing: Pick<OutgoingMail, 'prepared'>): QueueStore {
  return {
    claim: async (limit, wishes) => {
      const claimed = await queue.claim(limit, wishes);
      if (!claimed.some(needsWork))
        return claimed.map((message) => ({ ...message, content: spool.readable(message.content) }));
      return Promise.all(claimed.map((message) => preparedOrUnreadable(message, spool, outgoing)));
    },
    record: async (outcomes, notices) => {
      const result = await queue.record(outcomes, notices);
      spool.finished(outcomes.flatMap((outcome) => (outcome.kind === 'done' ? [outcome.messageId] : [])));
      return result;
    },
    release: (leases) => queue.release(leases),
  };
}

function needsWork({ content, headerChanges }: QueuedMessage): boolean {
  return headerChanges !== undefined || (content.kind === 'spool' && chunksOf(content.file) !== undefined);
}

/** What cannot be read fails its own attempt, where that is told, not the claim of others; it never goes out unchanged. */
async function preparedOrUnreadable(
  message: QueuedMessage,
  spool: Spool,
  outgoing: Pick<OutgoingMail, 'prepared'>,
): Promise<QueuedMessage> {
  try {
    const content = await spool.fetched(message.content);
    return await outgoing.prepared({ ...message, content });
  } catch {
    return { ...message, content: { kind: 'spool', file: '', sizeBytes: 0 } };
  }
}

/** The spool directory. Remembers which messages of this process's work have a file: most have none. */
export class SpoolDirectory implements Spool {
  readonly #withFile = new Set<string>();
  #onFinished: (messageIds: readonly string[]) => void = () => undefined;

  readonly #copying = new Map<string, Promise<void>>();

  constructor(
    private readonly directory: string,
    private readonly readChunks: (messageId: string) => AsyncIterable<Uint8Array>,
  ) {}

  onFinished(listener: (messageIds: readonly string[]) => void): void {
    this.#onFinished = listener;
  }

  readable(content: ContentSource): ContentSource {
    if (content.kind === 'inline') return content;
    this.#withFile.add(content.file);
    return { ...content, file: join(this.directory, content.file) };
  }

  async fetched(content: ContentSource): Promise<ContentSource> {
    const id = content.kind === 'inline' ? undefined : chunksOf(content.file);
    if (content.kind === 'inline' || id === undefined) return this.readable(content);
    const copying = this.#copying.get(id) ?? this.#copy(id, content.sizeBytes).finally(() => this.#copying.delete(id));
    this.#copying.set(id, copying);
    await copying;
    return this.readable({ ...content, file: id });
  }

  /** Not synced: the database has it. The name appears when the copy is whole. */
  async #copy(id: string, sizeBytes: number): Promise<void> {
    const path = join(this.directory, id);
    if ((await sizeOf(path)) === sizeBytes) return;
    const draft = `${path}.copy`;
    const file = await open(draft, 'w', 0o600);
    try {
      for await (const chunk of this.readChunks(id)) await file.writeFile(chunk);
      const { size } = await file.stat();
      if (size !== sizeBytes) throw new Error(`content of ${id} has ${size} octets, not ${sizeBytes}`);
      await rename(draft, path);
    } catch (error) {
      await rm(draft, { force: true });
      throw error;
    } finally {
      await file.close();
    }
  }

  finished(messageIds: readonly string[]): void {
    if (this.#withFile.size === 0) return;
    const files = messageIds.filter((id) => this.#withFile.has(id));
    if (files.length === 0) return;
    for (const id of files) this.#withFile.delete(id);
    this.#onFinished(files);
  }
}

async function sizeOf(path: string): Promise<number | undefined> {
  return stat(path).then(
    ({ size }) => size,
    () => undefined,
  );
}
