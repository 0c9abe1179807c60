/**
 * When a client has been silent or slow for too long. RFC 5321 s4.5.3.2.
 *
 * Asked by the server's one coarse tick, told after every batch of input: no timer per command. Time spent waiting for
 * our own answer or sink never counts against the client.
 */
import type { SmtpLimits, SmtpServerSession } from '#smtp-core';

export class Deadlines {
  readonly #limits: SmtpLimits;
  readonly #startedMs: number;
  #sinceMs: number;
  #lineSinceMs = -1;
  #commandCount = 0;
  #contentSinceMs = -1;
  #contentBytes = 0;
  #busySinceMs = -1;

  /** Times are of a monotonic clock. */
  constructor(limits: SmtpLimits, nowMs: number) {
    this.#limits = limits;
    this.#startedMs = nowMs;
    this.#sinceMs = nowMs;
  }

  /** After input was worked off. `busy`: the next move is ours. */
  observe(session: SmtpServerSession, nowMs: number, receivedBytes: number, busy: boolean): void {
    this.#sinceMs = nowMs;
    const commandCount = session.commandCount;
    const awaits = session.awaits;
    // The line's deadline runs from its first octet, however many reads it takes.
    if (awaits !== 'rest-of-line') this.#lineSinceMs = -1;
    else if (this.#lineSinceMs < 0 || commandCount !== this.#commandCount) this.#lineSinceMs = nowMs;
    this.#commandCount = commandCount;
    this.#observeContent(awaits === 'content', nowMs, receivedBytes, busy);
  }

  #observeContent(inContent: boolean, nowMs: number, receivedBytes: number, busy: boolean): void {
    if (!inContent) {
      this.#contentSinceMs = -1;
    } else if (this.#contentSinceMs < 0) {
      this.#contentSinceMs = nowMs;
      this.#contentBytes = 0;
    } else this.#contentBytes += receivedBytes;
    if (!busy && this.#busySinceMs >= 0 && this.#contentSinceMs >= 0) this.#contentSinceMs += nowMs - this.#busySinceMs;
    if (!busy) this.#busySinceMs = -1;
    else if (this.#busySinceMs < 0) this.#busySinceMs = nowMs;
  }

  expired(session: SmtpServerSession, nowMs: number): boolean {
    if (this.#busySinceMs >= 0) return false;
    if (nowMs - this.#sinceMs > session.timeoutMs) return true;
    if (this.#lineSinceMs >= 0 && nowMs - this.#lineSinceMs > this.#limits.lineTimeoutMs) return true;
    if (this.#contentSinceMs >= 0 && this.#tooSlow(nowMs - this.#contentSinceMs)) return true;
    const ageMs = nowMs - this.#startedMs;
    return ageMs > this.#limits.sessionTimeoutMs * (session.inTransaction ? 2 : 1);
  }

  #tooSlow(elapsedMs: number): boolean {
    if (elapsedMs <= this.#limits.contentGraceMs) return false;
    return this.#contentBytes * 1000 < this.#limits.minContentBytesPerSecond * elapsedMs;
  }
}
