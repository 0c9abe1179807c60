/**
 * Delivery into directories, one file per message: Maildirs (written in `tmp`, renamed into `new`) and plain directories
 * of `.eml` files. Synced, renamed, and the directory synced once for a whole batch: a file appears whole or not at all,
 * and an answer is given only when it will survive a power cut.
 *
 * One file per message and directory, with a `Delivered-To` line for each recipient; the content stays as received,
 * CRLF included. The name is made from the queue's ids, so a second attempt after a crash replaces the first file.
 */
import { mkdir, rename, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { FileDelivery } from '#delivery';
import { syncDirectory } from '../sync-directory.js';
import { DELIVERED, DIRECTORY_MODE, failed, uniqueName, writeMessage } from './message-file.js';
import type { Written } from './message-file.js';

interface Layout {
  /** Made when they are missing. */
  readonly parts: readonly string[];
  /** Where a finished file appears, below the directory. */
  readonly destination: string;
  temporary(name: string, unique: string): string;
  final(name: string, hostname: string): string;
}

const MAILDIR: Layout = {
  parts: ['tmp', 'new', 'cur'],
  destination: 'new',
  temporary: (name, unique) => join('tmp', `${name}.${unique}`),
  final: (name, hostname) => join('new', `${name}.${hostname}`),
};

const EML: Layout = {
  parts: [''],
  destination: '',
  // A dot in front: whoever collects the files does not see unfinished ones.
  temporary: (name, unique) => `.${name}.${unique}`,
  final: (name) => `${name}.eml`,
};

export class DirectoryStore {
  readonly #layout: Layout;
  /** Part of each file's name in a Maildir; characters with a meaning there are replaced. */
  readonly #hostname: string;
  readonly #prepared = new Set<string>();
  #counter = 0;

  constructor(format: 'maildir' | 'eml', hostname: string) {
    this.#layout = format === 'maildir' ? MAILDIR : EML;
    this.#hostname = hostname.replace(/[^A-Za-z0-9.-]/g, '_');
  }

  async deliver(directory: string, deliveries: readonly FileDelivery[]): Promise<readonly Written[]> {
    try {
      await this.#prepare(directory);
    } catch (error) {
      return deliveries.map(() => failed(directory, error));
    }
    const written = await Promise.all(deliveries.map(async (delivery) => this.#write(directory, delivery)));
    try {
      await syncDirectory(join(directory, this.#layout.destination));
      return written;
    } catch (error) {
      return written.map((result) => ('fault' in result.answer ? result : failed(result.path, error)));
    }
  }

  async #prepare(directory: string): Promise<void> {
    if (this.#prepared.has(directory)) return;
    for (const part of this.#layout.parts) {
      await mkdir(join(directory, part), { recursive: true, mode: DIRECTORY_MODE });
    }
    await syncDirectory(directory);
    this.#prepared.add(directory);
  }

  async #write(directory: string, delivery: FileDelivery): Promise<Written> {
    const name = uniqueName(delivery);
    this.#counter += 1;
    const unique = `${String(process.pid)}-${String(this.#counter)}`;
    const temporary = join(directory, this.#layout.temporary(name, unique));
    const path = join(directory, this.#layout.final(name, this.#hostname));
    try {
      await writeMessage(temporary, delivery);
      await rename(temporary, path);
      return { path, answer: DELIVERED };
    } catch (error) {
      // Someone may have removed the directory: look again next time.
      this.#prepared.delete(directory);
      await unlink(temporary).catch(() => undefined);
      return failed(path, error);
    }
  }
}
