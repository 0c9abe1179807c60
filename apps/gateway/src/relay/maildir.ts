/**
 * Delivery into Maildirs: written in `tmp`, synced, renamed into `new`, the directory synced once for a whole batch. A
 * file appears whole or not at all, and an answer is given only when it will survive a power cut.
 *
 * One file per message and directory, with a `Delivered-To` line for each recipient; the content stays as received,
 * CRLF included. The name is made from the queue's ids, so a second attempt after a crash replaces the first file.
 */
import { mkdir, open, rename, unlink } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import type { AttemptAnswer, FileDelivery, FileStore } from '#delivery';
import { syncDirectory } from '../sync-directory.js';

type Written = Awaited<ReturnType<FileStore['deliver']>>[number];

const DIRECTORY_MODE = 0o700;
const FILE_MODE = 0o600;
const DELIVERED: AttemptAnswer = { stage: 'file', reply: { code: 250, enhanced: '2.0.0', lines: ['written'] } };

const PROBLEMS: Readonly<Record<string, readonly [enhanced: string, message: string]>> = {
  ENOSPC: ['4.3.1', 'no space is left on the device'],
  EDQUOT: ['4.2.2', 'disk quota is exceeded'],
  EACCES: ['4.3.0', 'directory may not be written to'],
  EPERM: ['4.3.0', 'directory may not be written to'],
  EROFS: ['4.3.0', 'file system is read-only'],
  ENOENT: ['4.3.0', 'directory or message content is missing'],
  ENOTDIR: ['4.3.5', 'path of the route is not a directory'],
  EEXIST: ['4.3.5', 'path of the route is not a directory'],
  EMFILE: ['4.3.2', 'no file descriptor is free'],
};

export class MaildirStore implements FileStore {
  /** Part of each file's name; characters with a meaning in Maildir names are replaced. */
  readonly #hostname: string;
  readonly #prepared = new Set<string>();
  #counter = 0;

  constructor(hostname: string) {
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
      await syncDirectory(join(directory, 'new'));
      return written;
    } catch (error) {
      return written.map((result) => ('fault' in result.answer ? result : failed(result.path, error)));
    }
  }

  async #prepare(directory: string): Promise<void> {
    if (this.#prepared.has(directory)) return;
    for (const part of ['tmp', 'new', 'cur']) {
      await mkdir(join(directory, part), { recursive: true, mode: DIRECTORY_MODE });
    }
    await syncDirectory(directory);
    this.#prepared.add(directory);
  }

  async #write(directory: string, delivery: FileDelivery): Promise<Written> {
    const name = this.#name(delivery);
    this.#counter += 1;
    const temporary = join(directory, 'tmp', `${name}.${String(process.pid)}-${String(this.#counter)}`);
    const path = join(directory, 'new', name);
    try {
      await writeWhole(temporary, delivery);
      await rename(temporary, path);
      return { path, answer: DELIVERED };
    } catch (error) {
      // Someone may have removed the directory: look again next time.
      this.#prepared.delete(directory);
      await unlink(temporary).catch(() => undefined);
      return failed(path, error);
    }
  }

  #name({ message, recipients }: FileDelivery): string {
    const seconds = String(Math.floor(message.acceptedAtMs / 1000));
    const unique = `${message.id}_${recipients[0]?.id ?? ''}`.replace(/[^A-Za-z0-9_-]/g, '_');
    return `${seconds}.M${unique}.${this.#hostname}`;
  }
}

async function writeWhole(path: string, { message, recipients }: FileDelivery): Promise<void> {
  const file = await open(path, 'wx', FILE_MODE);
  try {
    const header = traceHeader(message.sender, recipients);
    const { content } = message;
    if (content.kind === 'inline') await writeAll(file, [header, content.bytes]);
    else await copySpool(file, header, content.file);
    await file.datasync();
  } finally {
    await file.close();
  }
}

async function writeAll(file: FileHandle, parts: readonly Uint8Array[]): Promise<void> {
  const total = parts.reduce((sum, part) => sum + part.length, 0);
  const { bytesWritten } = await file.writev([...parts]);
  if (bytesWritten === total) return;
  // A short write: the disk took what it could. The rest, until it is all there or the error shows.
  await file.writeFile(Buffer.concat(parts).subarray(bytesWritten));
}

async function copySpool(file: FileHandle, header: Uint8Array, spoolFile: string): Promise<void> {
  await writeAll(file, [header]);
  for await (const chunk of createReadStream(spoolFile)) await writeAll(file, [chunk as Uint8Array]);
}

/** RFC 5321 s4.4: the final delivery adds the return path. Nothing an address holds can end its line. */
function traceHeader(sender: string, recipients: FileDelivery['recipients']): Uint8Array {
  const lines = [`Return-Path: <${sender}>`, ...recipients.map(({ address }) => `Delivered-To: ${address}`)];
  return Buffer.from(lines.map((line) => `${line.replace(/[\u0000-\u001f\u007f]/g, '?')}\r\n`).join(''));
}

function failed(path: string, error: unknown): Written {
  const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
  const [enhanced, message] = PROBLEMS[code] ?? [
    '4.3.0',
    code === '' ? 'file cannot be written' : `file cannot be written: ${code}`,
  ];
  return { path, answer: { stage: 'file', fault: { enhanced, message, progress: 'none' } } };
}
