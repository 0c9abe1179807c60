/** Connections that never became sessions, summed up: a flood of them is a few events, and none is forgotten. */
import { newId } from '#database';
import type { AuditEvent } from '#audit';

const TELL_EVERY_MS = 5_000;

interface Sum {
  readonly listener: string;
  readonly reason: string;
  count: number;
  readonly firstAtMs: number;
  lastAtMs: number;
}

export class TurnedAwayTally {
  readonly #sums = new Map<string, Sum>();
  #timer: NodeJS.Timeout | undefined;

  constructor(private readonly appendAudit: (events: readonly AuditEvent[]) => void) {}

  add(listener: string, reason: string): void {
    const nowMs = Date.now();
    const key = `${listener} ${reason}`;
    const sum = this.#sums.get(key);
    if (sum === undefined) this.#sums.set(key, { listener, reason, count: 1, firstAtMs: nowMs, lastAtMs: nowMs });
    else {
      sum.count += 1;
      sum.lastAtMs = nowMs;
    }
    this.#timer ??= setTimeout(() => {
      this.tell();
    }, TELL_EVERY_MS).unref();
  }

  /** What has been summed up so far. Also when the gateway stops. */
  tell(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const events = [...this.#sums.values()].map((sum): AuditEvent => ({
      id: newId(),
      kind: 'connections.turned-away',
      data: { ...sum },
    }));
    this.#sums.clear();
    if (events.length > 0) this.appendAudit(events);
  }
}
