/**
 * When a connection reads and when it rests: for want of a turn of the event loop, of patience on our side, or of a
 * client that reads its replies.
 */
import type { Socket } from 'node:net';
import type { SmtpLimits } from '#smtp-core';
import type { Outbox } from './outbox.js';
import type { Resting, Turns } from './turns.js';

/** Octets waiting for an answer above which reading stops. */
const MAX_WAITING_BYTES = 65_536;

export interface FlowOwner {
  /** The rest is over, or what was written has left. */
  onDrain(): void;
}

export class Flow implements Resting {
  readonly #owner: FlowOwner;
  readonly #turns: Turns;
  readonly #outbox: Outbox;
  readonly #maxWriteBufferBytes: number;
  #socket: Socket;
  #paused = false;
  /** Until the next turn. */
  #resting = false;

  constructor(
    owner: FlowOwner,
    use: { readonly socket: Socket; readonly outbox: Outbox; readonly turns: Turns; readonly limits: SmtpLimits },
  ) {
    this.#owner = owner;
    this.#turns = use.turns;
    this.#outbox = use.outbox;
    this.#maxWriteBufferBytes = use.limits.maxWriteBufferBytes;
    this.#socket = use.socket;
  }

  /** What comes from now on comes through `socket`, which flows. */
  moveTo(socket: Socket): void {
    this.#socket = socket;
    this.#paused = false;
  }

  /** Whether the client has more replies to read than are written for it. */
  get isClogged(): boolean {
    return this.#outbox.holdsOver(this.#maxWriteBufferBytes);
  }

  /** INVARIANT (one chunk): the socket keeps what there is no time for, and reads no more behind it. */
  putsOff(bytes: Buffer): boolean {
    if (!this.#turns.isOver()) return false;
    this.rest();
    this.regulate(false);
    this.#socket.unshift(bytes);
    return true;
  }

  /** Whether no more is begun for now: the client has replies to read, or the other connections wait for their turn. */
  mustRest(): boolean {
    if (this.isClogged) return true;
    if (this.#turns.isOver()) this.rest();
    return this.#resting;
  }

  rest(): void {
    if (!this.#resting) this.#turns.rest(this);
    this.#resting = true;
  }

  goOn(): void {
    this.#resting = false;
    this.#owner.onDrain();
  }

  /** `isBusy`: what was read is not worked off yet, and more must not come. */
  regulate(isBusy: boolean, heldBytes = 0): void {
    const pause =
      this.#resting || isBusy || heldBytes > MAX_WAITING_BYTES || this.#outbox.waitingBytes > this.#maxWriteBufferBytes;
    if (pause === this.#paused) return;
    this.#paused = pause;
    if (pause) {
      this.#socket.pause();
      return;
    }
    this.#socket.resume();
    // What has been read already is worked off now, in the turn that was given for it.
    this.#socket.read();
  }
}
