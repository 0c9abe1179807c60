/**
 * The content of a transaction on its way in, by DATA or by BDAT, and chunks that are only swallowed.
 * RFC 5321 s4.1.1.4; RFC 3030 s2.
 *
 * The octets of a chunk follow BDAT whether we like the command or not, so a refused chunk is read to its end before it
 * is answered: its octets must never be taken for commands. One decoder reads all chunks of a message: a CR at the end
 * of one and the LF at the start of the next are one line end.
 */
import { ContentDecoder } from './content-decoder.js';
import type { SmtpLimits } from './limits.js';
import type { Reply } from './reply.js';
import { refusalOf } from './session-rules.js';

/** What reading has come to. `unended`: refused content that goes on beyond `maxSwallowedBytes`. */
export type IntakeEvent = 'more' | 'content-ended' | 'chunk-ended' | 'swallowed' | 'unended';

export class ContentIntake {
  /** Of the last `read` or `begin…`: an empty chunk ends where it begins. */
  event: IntakeEvent = 'more';
  readonly #limits: SmtpLimits;
  readonly #keep: (octets: Uint8Array) => void;
  #mode: 'idle' | 'dots' | 'chunk' | 'swallow' = 'idle';
  #decoder: ContentDecoder | undefined;
  #refusal: Reply | undefined;
  /** Octets of the current chunk still to come, of all chunks of this content, and of all swallowed ones. */
  #left = 0;
  #declared = 0;
  #swallowed = 0;
  #isLast = false;

  /** `keep` is given what belongs to the message, in order. */
  constructor(limits: SmtpLimits, keep: (octets: Uint8Array) => void) {
    this.#limits = limits;
    this.#keep = keep;
  }

  /** The next octets are content, not commands. */
  get reading(): boolean {
    return this.#mode !== 'idle';
  }

  /** A chunk was taken, and the last one not yet. */
  get inChunks(): boolean {
    return this.#decoder !== undefined;
  }

  get sizeBytes(): number {
    return this.#decoder?.sizeBytes ?? 0;
  }

  /** Why what was read is refused. */
  get refusal(): Reply | undefined {
    return this.#refusal ?? refusalOf(this.#decoder?.fault);
  }

  beginDots(): void {
    this.#decoder = new ContentDecoder(this.#limits.maxMessageBytes);
    this.#mode = 'dots';
  }

  /** INVARIANT (before reading): the sizes of chunks are compared with the limit when they are declared. */
  chunkFits(sizeBytes: number): boolean {
    return this.#declared + sizeBytes <= this.#limits.maxMessageBytes;
  }

  beginChunk(sizeBytes: number, last: boolean): void {
    this.#decoder ??= new ContentDecoder(Number.POSITIVE_INFINITY, 'chunks');
    this.#declared += sizeBytes;
    this.#isLast = last;
    this.#begin('chunk', sizeBytes);
  }

  canSwallow(sizeBytes: number): boolean {
    return this.#swallowed + sizeBytes <= this.#limits.maxSwallowedBytes;
  }

  beginSwallowing(sizeBytes: number, refusal: Reply): void {
    this.#swallowed += sizeBytes;
    this.#refusal = refusal;
    this.#begin('swallow', sizeBytes);
  }

  /** Reads `bytes` from `from`; returns where reading goes on. */
  read(bytes: Buffer, from: number): number {
    if (this.#mode === 'dots') return this.#readDots(bytes, from);
    const end = Math.min(bytes.length, from + this.#left);
    this.#left -= end - from;
    if (this.#mode === 'chunk') this.#decoder?.read(bytes.subarray(from, end), 0, this.#keep);
    this.event = this.#left > 0 ? 'more' : this.#endChunk();
    return end;
  }

  /** Nothing of this content is remembered. */
  clear(): void {
    this.#mode = 'idle';
    this.#decoder = undefined;
    this.#refusal = undefined;
    this.#left = 0;
    this.#declared = 0;
  }

  #begin(mode: 'chunk' | 'swallow', sizeBytes: number): void {
    this.#mode = mode;
    this.#left = sizeBytes;
    this.event = sizeBytes > 0 ? 'more' : this.#endChunk();
  }

  #endChunk(): IntakeEvent {
    const { mode, last } = { mode: this.#mode, last: this.#isLast };
    this.#mode = 'idle';
    if (mode === 'swallow') return 'swallowed';
    if (!last) return 'chunk-ended';
    this.#decoder?.finish(this.#keep);
    return 'content-ended';
  }

  #readDots(bytes: Buffer, from: number): number {
    const decoder = this.#decoder;
    if (decoder === undefined) return from;
    const end = decoder.read(bytes, from, this.#keep);
    if (end >= 0) {
      this.#mode = 'idle';
      this.event = 'content-ended';
      return end;
    }
    const { maxMessageBytes, maxSwallowedBytes } = this.#limits;
    // A client that never ends a refused message is not listened to for ever.
    const unended = decoder.fault !== undefined && decoder.receivedBytes > maxMessageBytes + maxSwallowedBytes;
    this.event = unended ? 'unended' : 'more';
    return bytes.length;
  }
}
