/** What all ways of writing mail to disk share: the trace on top, short writes, spooled content, and what errors mean. */
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import type { AttemptAnswer, FileDelivery, FileStore } from '#delivery';
import { readSpool } from './spool-content.js';

export type Written = Awaited<ReturnType<FileStore['deliver']>>[number];

export const DIRECTORY_MODE = 0o700;
export const FILE_MODE = 0o600;
export const DELIVERED: AttemptAnswer = { stage: 'file', reply: { code: 250, enhanced: '2.0.0', lines: ['written'] } };

const PROBLEMS: Readonly<Record<string, readonly [enhanced: string, message: string]>> = {
  ENOSPC: ['4.3.1', 'no space is left on the device'],
  EDQUOT: ['4.2.2', 'disk quota is exceeded'],
  EACCES: ['4.3.0', 'directory may not be written to'],
  EPERM: ['4.3.0', 'directory may not be written to'],
  EROFS: ['4.3.0', 'file system is read-only'],
  ENOENT: ['4.3.0', 'directory or message content is missing'],
  ENOTDIR: ['4.3.5', 'path of the route is not a directory'],
  EEXIST: ['4.3.5', 'path of the route is not a directory'],
  EISDIR: ['4.3.5', 'path of the route is a directory'],
  EMFILE: ['4.3.2', 'no file descriptor is free'],
  ELOCKED: ['4.2.0', 'mailbox is locked by another program'],
};

export function failed(path: string, error: unknown): Written {
  const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
  const [enhanced, message] = PROBLEMS[code] ?? [
    '4.3.0',
    code === '' ? 'file cannot be written' : `file cannot be written: ${code}`,
  ];
  return { path, answer: { stage: 'file', fault: { enhanced, message, progress: 'none' } } };
}

/** A new file with trace and content, synced. */
export async function writeMessage(path: string, delivery: FileDelivery): Promise<void> {
  const file = await open(path, 'wx', FILE_MODE);
  try {
    const header = traceHeader(delivery);
    const { content } = delivery.message;
    if (content.kind === 'inline') await writeAll(file, [header, content.bytes]);
    else {
      await writeAll(file, [header]);
      for await (const chunk of readSpool(content)) await writeAll(file, [chunk]);
    }
    await file.datasync();
  } finally {
    await file.close();
  }
}

export async function writeAll(file: FileHandle, parts: readonly Uint8Array[]): Promise<void> {
  const total = parts.reduce((sum, part) => sum + part.length, 0);
  if (total === 0) return;
  const { bytesWritten } = await file.writev([...parts]);
  if (bytesWritten === total) return;
  // A short write: the disk took what it could. The rest, until it is all there or the error shows.
  await file.writeFile(Buffer.concat(parts).subarray(bytesWritten));
}

/** RFC 5321 s4.4: the final delivery adds the return path. Nothing an address holds can end its line. */
export function traceHeader({ message, recipients }: FileDelivery): Uint8Array {
  const lines = [`Return-Path: <${message.sender}>`, ...recipients.map(({ address }) => `Delivered-To: ${address}`)];
  return Buffer.from(lines.map((line) => `${line.replace(/[\u0000-\u001f\u007f]/g, '?')}\r\n`).join(''));
}

/** The same for every attempt of the same rows, so that a repeated one replaces its own file. */
export function uniqueName({ message, recipients }: FileDelivery): string {
  const seconds = String(Math.floor(message.acceptedAtMs / 1000));
  const unique = `${message.id}_${recipients[0]?.id ?? ''}`.replace(/[^A-Za-z0-9_-]/g, '_');
  return `${seconds}.M${unique}`;
}
