/**
 * Replies on their way to a client: gathered, written in one piece, counted. RFC 2920 s3.2.
 */
import type { Socket } from 'node:net';
import { encodeReply } from '#smtp-core';
import type { Reply } from '#smtp-core';

export class Outbox {
  #socket: Socket;
  #unsent = '';
  #bytes = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** What comes from now on goes through `socket`. */
  moveTo(socket: Socket): void {
    this.#socket = socket;
  }

  /** Octets written so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Octets written and not taken by the client yet. */
  get waitingBytes(): number {
    return this.#socket.writableLength;
  }

  /** Whether more waits, gathered or written; `drain` is only told by a socket that was filled above its own mark. */
  holdsOver(bytes: number): boolean {
    const waiting = this.#unsent.length + this.#socket.writableLength;
    return waiting > Math.max(bytes, this.#socket.writableHighWaterMark);
  }

  add(reply: Reply): void {
    this.#unsent += encodeReply(reply);
  }

  flush(): void {
    if (this.#unsent === '') return;
    this.#bytes += this.#unsent.length;
    if (this.#socket.writable) this.#socket.write(this.#unsent, 'latin1');
    this.#unsent = '';
  }
}
