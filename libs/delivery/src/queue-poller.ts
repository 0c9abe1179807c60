/**
 * Asks the queue for due rows: again at once while claims come back full, otherwise after an interval or a hint. Never
 * two claims at a time; a queue that does not answer is asked more and more rarely.
 */
import type { QueuedMessage } from './ports.js';

export interface QueuePollerPorts {
  claim(): Promise<readonly QueuedMessage[]>;
  take(message: QueuedMessage): void;
  hasRoom(): boolean;
  warn(message: string, error?: unknown): void;
  readonly intervalMs: number;
  /** Recipients in a claim from which on more are likely to wait. */
  readonly fullClaim: number;
}

const LONGEST_PAUSE_MS = 10_000;

export class QueuePoller {
  readonly #ports: QueuePollerPorts;
  #timer: NodeJS.Timeout | undefined;
  #claiming: Promise<readonly QueuedMessage[]> | undefined;
  #stopped = true;
  #hungry = false;
  #again = false;
  #failures = 0;

  constructor(ports: QueuePollerPorts) {
    this.#ports = ports;
  }

  start(): void {
    this.#stopped = false;
    this.#schedule(0);
  }

  wake(): void {
    if (this.#claiming !== undefined) this.#again = true;
    else this.#schedule(0);
  }

  /** Memory is free again; goes on only if it was what held the poller back. */
  roomAgain(): void {
    if (this.#hungry) this.wake();
  }

  /** What a claim under way still brought in is for the caller to give back. */
  async stop(): Promise<readonly QueuedMessage[]> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    try {
      return (await this.#claiming) ?? [];
    } catch {
      return [];
    }
  }

  #schedule(delayMs: number): void {
    if (this.#stopped) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#poll(), delayMs);
  }

  async #poll(): Promise<void> {
    if (this.#claiming !== undefined) return;
    this.#hungry = !this.#ports.hasRoom();
    if (this.#hungry) {
      this.#schedule(this.#ports.intervalMs);
      return;
    }
    this.#again = false;
    let delayMs = this.#ports.intervalMs;
    try {
      this.#claiming = this.#ports.claim();
      const messages = await this.#claiming;
      this.#failures = 0;
      if (this.#isStopped()) return;
      for (const message of messages) this.#ports.take(message);
      const recipients = messages.reduce((sum, message) => sum + message.recipients.length, 0);
      if (recipients >= this.#ports.fullClaim) this.#again = true;
    } catch (error) {
      this.#failures += 1;
      delayMs = Math.min(LONGEST_PAUSE_MS, this.#ports.intervalMs * 2 ** Math.min(this.#failures, 10));
      this.#ports.warn('due mail cannot be claimed, trying again', error);
    } finally {
      this.#claiming = undefined;
    }
    this.#schedule(this.#again && this.#failures === 0 ? 0 : delayMs);
  }

  #isStopped(): boolean {
    return this.#stopped;
  }
}
