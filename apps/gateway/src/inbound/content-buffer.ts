/**
 * Where the content of one message goes while it arrives: memory up to a limit, then a body store (the spool, or the
 * database).
 *
 * Counts, hashes, and keeps the first part for the header scan. A stored message costs one window of memory however
 * large it is. It is durable before `finish` resolves: the database row that names it is committed after that, so a row
 * never points at content that a crash could still lose.
 */
import { isAscii } from 'node:buffer';
import { createHash, hash, type Hash } from 'node:crypto';
import type { ContentSource } from '#delivery';
import type { ContentSink } from '#smtp-net';
import type { BodyStore, BodyWriter } from './body-store.js';
import type { MemoryBudget } from './memory-budget.js';

export interface ContentBufferOptions {
  /** The transaction's id: names what is stored. */
  readonly id: string;
  readonly bodies: BodyStore;
  readonly inlineLimitBytes: number;
  readonly budget: MemoryBudget;
  /** Trace header put in front of what the client sends; not part of `digest` and `receivedBytes`. */
  readonly traceHeader: Buffer;
  /** Sees what the client sends, without the trace header; keeps nothing of the chunk. Its promise is back-pressure. */
  readonly observer?: { write(chunk: Uint8Array): void | Promise<void> };
}

/** Collected before a write to the spool, so that small reads do not become small writes. */
const SPOOL_WRITE_BYTES = 262_144;

export class SpoolFailure extends Error {
  override readonly name = 'SpoolFailure';
}

export class ContentBuffer implements ContentSink {
  readonly #options: ContentBufferOptions;
  /** Of what was moved to the spool; content in memory is hashed in one go. */
  #hash: Hash | undefined;
  #chunks: Buffer[];
  #heldBytes: number;
  #receivedBytes = 0;
  #has8bit = false;
  #body: BodyWriter | undefined;
  #head: Buffer | undefined;
  #aborted = false;
  #writing: Promise<void> | undefined;
  #failure: unknown;

  constructor(options: ContentBufferOptions) {
    this.#options = options;
    this.#chunks = [options.traceHeader];
    this.#heldBytes = options.traceHeader.length;
    options.budget.take(options.traceHeader.length);
  }

  /** Octets received from the client, without the trace header. */
  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  /** Whether an octet above 127 was received: what BODY promised is no evidence. RFC 6152. */
  get has8bit(): boolean {
    return this.#has8bit;
  }

  /** Takes a copy of `chunk`. The promise, when there is one, is back-pressure: the spool is being written. */
  write(chunk: Uint8Array): void | Promise<void> {
    this.#receivedBytes += chunk.length;
    const observed = this.#options.observer?.write(chunk);
    const stored = this.#store(chunk);
    return observed === undefined || stored === undefined ? (stored ?? observed) : both(stored, observed);
  }

  #store(chunk: Uint8Array): void | Promise<void> {
    // The client is still sending: what cannot be stored is let go, and `finish` says so.
    if (this.#failure !== undefined) return undefined;
    this.#hash?.update(chunk);
    this.#has8bit ||= !isAscii(chunk);
    this.#hold(chunk);
    const limit = this.#body === undefined ? this.#options.inlineLimitBytes : SPOOL_WRITE_BYTES;
    if (this.#heldBytes <= limit) return undefined;
    this.#writing = this.#spill().catch((error: unknown) => {
      this.#failure = error;
      this.release();
    });
    return this.#writing;
  }

  /** The first octets of the message as received, for the header scan: at least 64 KiB where there are as many. */
  head(): Buffer {
    return this.#head ?? this.#joined().subarray(this.#options.traceHeader.length);
  }

  /** SHA-256 of the octets received, hex. Only after the end. */
  digest(): string {
    return this.#hash?.digest('hex') ?? hash('sha256', this.head(), 'hex');
  }

  /**
   * Makes the content storable: as one block of memory, or as a synced spool file. Called once, after the last write.
   * The memory stays accounted for until `release`. Throws `SpoolFailure` when it could not be written: a full disk, mostly.
   */
  async finish(): Promise<ContentSource> {
    if (this.#failure !== undefined) throw new SpoolFailure('the spool cannot be written', { cause: this.#failure });
    if (this.#body === undefined) return { kind: 'inline', bytes: this.takeInline() };
    const sizeBytes = this.#options.traceHeader.length + this.#receivedBytes;
    let file: string;
    try {
      if (this.#heldBytes > 0) await this.#spill();
      file = await this.#body.finish();
    } catch (error) {
      throw new SpoolFailure('the spool cannot be synced', { cause: error });
    }
    return { kind: 'spool', file, sizeBytes };
  }

  /** True while everything is in memory: `takeInline` may be used instead of `finish`, without a promise. */
  get isInline(): boolean {
    return this.#body === undefined && this.#failure === undefined;
  }

  takeInline(): Buffer {
    return this.#joined();
  }

  /** Forgets the memory. The content lives on in whoever took it. */
  release(): void {
    this.#options.budget.giveBack(this.#heldBytes);
    this.#heldBytes = 0;
    this.#chunks = [];
  }

  /** The message will not be accepted: memory is given back, what was stored is removed. Safe to call twice. */
  abort(): void {
    if (this.#aborted) return;
    this.#aborted = true;
    this.release();
    if (this.#body !== undefined) void this.#removeBody();
  }

  /** Copied, the first chunk behind the trace header: a message that came in one read is one block, ready to be stored. */
  #hold(chunk: Uint8Array): void {
    const { traceHeader } = this.#options;
    if (this.#chunks[0] === traceHeader) this.#chunks = [Buffer.concat([traceHeader, chunk])];
    else this.#chunks.push(Buffer.from(chunk));
    this.#heldBytes += chunk.length;
    this.#options.budget.take(chunk.length);
  }

  #joined(): Buffer {
    if (this.#chunks.length > 1) this.#chunks = [Buffer.concat(this.#chunks)];
    return this.#chunks[0] ?? Buffer.alloc(0);
  }

  async #spill(): Promise<void> {
    const block = this.#joined();
    this.#head ??= block.subarray(this.#options.traceHeader.length);
    this.#hash ??= createHash('sha256').update(this.#head);
    this.#body ??= await this.#options.bodies.create(this.#options.id);
    // Cut only now: a failed open leaves the octets where they were.
    this.#chunks = [];
    await this.#body.write(block);
    this.#options.budget.giveBack(block.length);
    this.#heldBytes -= block.length;
  }

  async #removeBody(): Promise<void> {
    try {
      await this.#writing;
      await this.#body?.abort();
    } catch {
      // The sweeper removes what could not be removed here; the message was never acknowledged.
    }
  }
}

async function both(one: Promise<void>, two: Promise<void>): Promise<void> {
  await one;
  await two;
}
