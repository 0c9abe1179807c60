/**
 * Delivery into one mbox file per directory (`mbox`, in the form mboxrd), for programs that read nothing else. Batches
 * are appended under a dot-lock, as mail readers know it, and synced before they count; what could not be written whole
 * is cut off again.
 *
 * Known gaps: an attempt repeated after a crash appends the message again; a Maildir would replace it.
 */
import { mkdir, open, stat, unlink } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import type { FileDelivery } from '#delivery';
import { syncDirectory } from '../sync-directory.js';
import { MboxLines } from './mbox-lines.js';
import { DELIVERED, DIRECTORY_MODE, failed, FILE_MODE, traceHeader, writeAll } from './message-file.js';
import type { Written } from './message-file.js';
import { readSpool } from './spool-content.js';

const LOCK_PATIENCE_MS = 10_000;
const LOCK_PAUSE_MS = 50;
/** A lock this old was left by a program that died. */
const STALE_LOCK_MS = 300_000;

export class MboxStore {
  /** The last delivery to each file: one after the other. */
  readonly #last = new Map<string, Promise<unknown>>();

  async deliver(directory: string, deliveries: readonly FileDelivery[]): Promise<readonly Written[]> {
    const path = join(directory, 'mbox');
    const turn = (this.#last.get(path) ?? Promise.resolve()).then(async () => deliverTo(path, directory, deliveries));
    this.#last.set(path, turn);
    try {
      return await turn;
    } finally {
      if (this.#last.get(path) === turn) this.#last.delete(path);
    }
  }
}

async function deliverTo(
  path: string,
  directory: string,
  deliveries: readonly FileDelivery[],
): Promise<readonly Written[]> {
  const lock = `${path}.lock`;
  try {
    await mkdir(directory, { recursive: true, mode: DIRECTORY_MODE });
    await takeLock(lock);
  } catch (error) {
    return deliveries.map(() => failed(path, error));
  }
  try {
    return await append(path, directory, deliveries);
  } catch (error) {
    return deliveries.map(() => failed(path, error));
  } finally {
    await unlink(lock).catch(() => undefined);
  }
}

async function append(
  path: string,
  directory: string,
  deliveries: readonly FileDelivery[],
): Promise<readonly Written[]> {
  const file = await open(path, 'a+', FILE_MODE);
  try {
    const written: Written[] = [];
    for (const delivery of deliveries) written.push(await appendOne(file, path, delivery));
    await file.datasync();
    await syncDirectory(directory);
    return written;
  } finally {
    await file.close();
  }
}

async function appendOne(file: FileHandle, path: string, delivery: FileDelivery): Promise<Written> {
  const { size } = await file.stat();
  try {
    const lines = new MboxLines();
    await writeAll(file, [await separator(file, size), fromLine(delivery), lines.encode(traceHeader(delivery))]);
    for await (const chunk of chunksOf(delivery)) await writeAll(file, [lines.encode(chunk)]);
    await writeAll(file, [lines.end(), Buffer.from('\n')]);
    return { path, answer: DELIVERED };
  } catch (error) {
    await file.truncate(size);
    return failed(path, error);
  }
}

/** An entry begins behind an empty line, also behind what a crash left. */
async function separator(file: FileHandle, size: number): Promise<Buffer> {
  if (size === 0) return Buffer.alloc(0);
  const tail = Buffer.alloc(2);
  await file.read(tail, 0, 2, Math.max(0, size - 2));
  return Buffer.from(tail.toString('latin1') === '\n\n' ? '' : tail[1] === 10 ? '\n' : '\n\n');
}

/** As asctime writes it, in UTC. */
function fromLine({ message }: FileDelivery): Buffer {
  const [day = '', date = '', month = '', year = '', time = ''] = new Date(message.acceptedAtMs)
    .toUTCString()
    .replace(',', '')
    .split(' ');
  const sender = message.sender === '' ? 'MAILER-DAEMON' : message.sender.replace(/[\u0000-\u0020\u007f]/g, '_');
  return Buffer.from(`From ${sender} ${day} ${month} ${date.replace(/^0/, ' ')} ${time} ${year}\n`);
}

async function* chunksOf({ message }: FileDelivery): AsyncIterable<Uint8Array> {
  const { content } = message;
  if (content.kind === 'inline') yield content.bytes;
  else yield* readSpool(content);
}

async function takeLock(lock: string): Promise<void> {
  const giveUpAtMs = Date.now() + LOCK_PATIENCE_MS;
  for (;;) {
    try {
      await (await open(lock, 'wx', FILE_MODE)).close();
      return;
    } catch (error) {
      if (!isTaken(error)) throw error;
    }
    if (await isStale(lock)) await unlink(lock).catch(() => undefined);
    else if (Date.now() > giveUpAtMs) throw Object.assign(new Error('mailbox is locked'), { code: 'ELOCKED' });
    else await new Promise((resolve) => setTimeout(resolve, LOCK_PAUSE_MS));
  }
}

function isTaken(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === 'EEXIST';
}

async function isStale(lock: string): Promise<boolean> {
  try {
    return Date.now() - (await stat(lock)).mtimeMs > STALE_LOCK_MS;
  } catch {
    return false;
  }
}
