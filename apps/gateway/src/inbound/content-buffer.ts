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
const NOTHING = Buffer.alloc(0);

export class SpoolFailure extends Error {
  override readonly name = 'SpoolFailure';
}

export class ContentBuffer implements ContentSink {
  readonly #options: ContentBufferOptions;
  /** Of what was moved to the spool; content in memory is hashed in one go. */
  #hash: Hash | undefined;
  /** What is in memory: the first `#heldBytes` octets of the block. Grown by doubling: many small reads cost no more. */
  #block: Buffer;
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
    this.#block = options.traceHeader;
    this.#heldBytes = options.traceHeader.length;
    options.budget.take(this.#block.length);
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
    if (this.#heldBytes <= this.#limitBytes) return undefined;
    this.#writing = this.#spill().catch((error: unknown) => {
      this.#failure = error;
      this.release();
    });
    return this.#writing;
  }

  /** The first octets of the message as received, for the header scan: at least 64 KiB where there are as many. */
  head(): Buffer {
    return this.#head ?? this.#held().subarray(this.#options.traceHeader.length);
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
      this.#forget();
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
    return this.#held();
  }

  /** Forgets the memory. The content lives on in whoever took it. */
  release(): void {
    this.#forget();
  }

  /** The message will not be accepted: memory is given back, what was stored is removed. Safe to call twice. */
  abort(): void {
    if (this.#aborted) return;
    this.#aborted = true;
    this.release();
    if (this.#body !== undefined) void this.#removeBody();
  }

  /** Copied. The first chunk makes a block of just its size: a message that came in one read is ready to be stored. */
  #hold(chunk: Uint8Array): void {
    const length = this.#heldBytes + chunk.length;
    const room = this.#block.length;
    if (length > room) {
      const isFirst = this.#block === this.#options.traceHeader;
      const larger = Buffer.allocUnsafeSlow(isFirst ? length : Math.max(length, Math.min(2 * room, this.#limitBytes)));
      larger.set(this.#held());
      this.#options.budget.take(larger.length - room);
      this.#block = larger;
    }
    this.#block.set(chunk, this.#heldBytes);
    this.#heldBytes = length;
  }

  get #limitBytes(): number {
    return this.#body === undefined ? this.#options.inlineLimitBytes : SPOOL_WRITE_BYTES;
  }

  #held(): Buffer {
    return this.#block.subarray(0, this.#heldBytes);
  }

  #forget(): void {
    this.#options.budget.giveBack(this.#block.length);
    this.#block = NOTHING;
    this.#heldBytes = 0;
  }

  async #spill(): Promise<void> {
    const block = this.#held();
    this.#head ??= block.subarray(this.#options.traceHeader.length);
    this.#hash ??= createHash('sha256').update(this.#head);
    this.#body ??= await this.#options.bodies.create(this.#options.id);
    // Let go only now: a failed open leaves the octets where they were.
    await this.#body.write(block);
    // The next window of the message takes the same block, unless it is kept for the header scan.
    if (this.#head.buffer === block.buffer) this.#forget();
    else this.#heldBytes = 0;
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
