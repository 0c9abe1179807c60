/**
 * Content of one message on its way to the thread that checks it: copied once, into blocks that are handed over. What is not
 * dealt with yet is bounded; beyond that the client waits.
 */
import type { ContentResults } from '#mail-auth';

export interface ContentLink {
  send(blocks: readonly Uint8Array[], ends: boolean): void;
  /** Nobody wants the result any more. */
  drop(): void;
  /** No result came in time. */
  late(): void;
}

export interface CheckedContentOptions {
  /** Undefined: nobody checks it, for the reason `why`. */
  readonly link: ContentLink | undefined;
  readonly why: string;
  readonly budget: { take(bytes: number): void; giveBack(bytes: number): void };
  readonly deadlineMs: number;
  /** Called once, when nothing is to be expected of it any more. */
  readonly ended: () => void;
}

/** Sent as one: a message that came in one read is one block. */
const SEND_BYTES = 65_536;
/** On its way or being hashed. */
const MAX_AWAY_BYTES = 1_048_576;

export class CheckedContent {
  readonly #use: CheckedContentOptions;
  #blocks: Uint8Array[] = [];
  #heldBytes = 0;
  #awayBytes = 0;
  #results: ContentResults | undefined;
  #settled: ((results: ContentResults) => void) | undefined;
  #room: (() => void) | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(use: CheckedContentOptions) {
    this.#use = use;
    if (use.link === undefined) this.#results = { ok: false, why: use.why };
  }

  /** Takes a copy. The promise, when there is one, is back-pressure. */
  write(chunk: Uint8Array): void | Promise<void> {
    if (this.#results !== undefined) return undefined;
    this.#blocks.push(new Uint8Array(chunk));
    this.#heldBytes += chunk.length;
    this.#use.budget.take(chunk.length);
    if (this.#heldBytes < SEND_BYTES) return undefined;
    this.#send(false);
    if (this.#awayBytes < MAX_AWAY_BYTES) return undefined;
    return new Promise((resolve) => (this.#room = resolve));
  }

  /** Once, after the last write; never rejects. */
  end(): Promise<ContentResults> {
    if (this.#results !== undefined) return Promise.resolve(this.#finish(this.#results));
    this.#send(true);
    return new Promise((resolve) => {
      this.#settled = resolve;
      this.#timer = setTimeout(() => {
        this.#use.link?.late();
        this.settle({ ok: false, why: `not checked within ${String(this.#use.deadlineMs)} ms` });
      }, this.#use.deadlineMs);
    });
  }

  /** The message is not wanted any more. Safe to call twice, and after the end. */
  abort(): void {
    if (this.#ended) return;
    this.#use.link?.drop();
    this.settle({ ok: false, why: 'the message was given up' });
    this.#finish({ ok: false, why: '' });
  }

  taken(bytes: number): void {
    this.#awayBytes -= bytes;
    this.#use.budget.giveBack(bytes);
    if (this.#awayBytes < MAX_AWAY_BYTES) this.#goOn();
  }

  /** The result, or why there is none; the first one counts. */
  settle(results: ContentResults): void {
    if (this.#results !== undefined) return;
    this.#results = results;
    clearTimeout(this.#timer);
    this.#use.budget.giveBack(this.#awayBytes + this.#heldBytes);
    this.#awayBytes = 0;
    this.#heldBytes = 0;
    this.#blocks = [];
    this.#goOn();
    if (this.#settled !== undefined) this.#settled(this.#finish(results));
  }

  #send(ends: boolean): void {
    this.#awayBytes += this.#heldBytes;
    this.#heldBytes = 0;
    const blocks = this.#blocks;
    this.#blocks = [];
    this.#use.link?.send(blocks, ends);
  }

  #goOn(): void {
    this.#room?.();
    this.#room = undefined;
  }

  #ended = false;

  #finish(results: ContentResults): ContentResults {
    if (!this.#ended) this.#use.ended();
    this.#ended = true;
    return results;
  }
}
