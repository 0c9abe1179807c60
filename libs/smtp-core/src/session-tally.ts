/**
 * What a session has done so far, and when it has done too much of nothing.
 */
import type { SmtpLimits } from './limits.js';
import type { SessionCounters } from './session-io.js';

export class SessionTally implements SessionCounters {
  commands = 0;
  errors = 0;
  transactions = 0;
  readonly #limits: SmtpLimits;
  #idleCommands = 0;

  constructor(limits: SmtpLimits) {
    this.#limits = limits;
  }

  get tooManyErrors(): boolean {
    return this.errors > this.#limits.maxErrors;
  }

  /** A command that moves no mail; after many of them each is an error. */
  countIdle(): void {
    this.#idleCommands += 1;
    if (this.#idleCommands > this.#limits.maxIdleCommands) this.errors += 1;
  }

  messageAccepted(): void {
    this.#idleCommands = 0;
  }

  snapshot(): SessionCounters {
    return { commands: this.commands, errors: this.errors, transactions: this.transactions };
  }
}
