/**
 * Where content goes that is too large for the memory and for a row: a file in the spool of this machine, or chunks in
 * the database, which every gateway can read. Both are durable before `finish` resolves.
 */
import { open, unlink, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import type { Database } from '#database';
import { syncDirectory } from '../sync-directory.js';

/** One content while it arrives. */
export interface BodyWriter {
  /** One at a time. */
  write(block: Buffer): Promise<void>;
  /** Resolves with the name that the message is committed with. */
  finish(): Promise<string>;
  /** The message will not be accepted. */
  abort(): Promise<void>;
}

export interface BodyStore {
  /** `id`: the transaction's. */
  create(id: string): Promise<BodyWriter>;
}

/** Names of content in the database begin so; anything else is a file in the spool. */
const CHUNKS = 'chunks:';

/** Id of the message whose content lies in the database under this name. */
export function chunksOf(name: string): string | undefined {
  return name.startsWith(CHUNKS) ? name.slice(CHUNKS.length) : undefined;
}

export class SpoolBodies implements BodyStore {
  constructor(private readonly directory: string) {}

  async create(id: string): Promise<BodyWriter> {
    const path = join(this.directory, id);
    return new SpoolFile(await open(path, 'wx', 0o600), { id, path, directory: this.directory });
  }
}

class SpoolFile implements BodyWriter {
  constructor(
    private readonly file: FileHandle,
    private readonly place: { readonly id: string; readonly path: string; readonly directory: string },
  ) {}

  async write(block: Buffer): Promise<void> {
    await this.file.writeFile(block);
  }

  async finish(): Promise<string> {
    await this.file.datasync();
    await this.file.close();
    await syncDirectory(this.place.directory);
    return this.place.id;
  }

  async abort(): Promise<void> {
    await this.file.close();
    await unlink(this.place.path);
  }
}

export class ChunkBodies implements BodyStore {
  constructor(private readonly chunks: Database['contents']) {}

  create(id: string): Promise<BodyWriter> {
    let number = 0;
    return Promise.resolve({
      write: async (block) => {
        await this.chunks.append(id, number, block);
        number += 1;
      },
      finish: () => Promise.resolve(CHUNKS + id),
      abort: () => this.chunks.remove(id),
    });
  }
}
