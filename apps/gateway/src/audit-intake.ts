/**
 * The gateway's way to the audit: events that belong to no commit of their own ride in the next group.
 *
 * When the buffer behind it is full, mail is refused until it has drained: nothing happens that is not recorded.
 */
import type { AuditEvent } from '#audit';
import type { Database } from '#database';

export class AuditIntake {
  #full = false;

  constructor(private readonly database: Pick<Database, 'audit' | 'healthy'>) {}

  /** Whether mail can be taken now: the database answers, and the audit keeps up. */
  get canStore(): boolean {
    return this.database.healthy && !this.#full;
  }

  append(events: readonly AuditEvent[]): void {
    if (this.database.audit.append(events) || this.#full) return;
    this.#full = true;
    const again = (): void => {
      this.#full = false;
    };
    // Without a database the flush fails at once; `healthy` then says what this flag no longer does.
    this.database.audit.flush().then(again, again);
  }
}
