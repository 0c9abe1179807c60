/** A destination that takes everything and keeps nothing. No notice of success: nothing was delivered. */
import { outcomeOf } from './attempt-outcome.js';
import type { AttemptAnswer } from './attempt-outcome.js';
import type { AttemptReporter } from './attempt-report.js';
import type { Destination } from './destination.js';
import type { Job } from './job.js';
import type { RelayEnvironment } from './ports.js';
import type { BlackholeRoute } from './route.js';

export interface BlackholePorts {
  readonly environment: RelayEnvironment;
  readonly reporter: AttemptReporter;
  jobEnded(job: Job): void;
}

const SWALLOWED: AttemptAnswer = {
  stage: 'file',
  reply: { code: 250, enhanced: '2.0.0', lines: ['discarded by the route'] },
};

export class BlackholeDestination implements Destination {
  readonly key: string;
  readonly definition: BlackholeRoute;
  readonly jobs = 0;
  readonly heldBytes = 0;
  readonly room = Number.POSITIVE_INFINITY;
  readonly works = true;
  readonly #ports: BlackholePorts;

  constructor(key: string, definition: BlackholeRoute, ports: BlackholePorts) {
    this.key = key;
    this.definition = definition;
    this.#ports = ports;
  }

  add(job: Job): void {
    const outcome = outcomeOf(SWALLOWED);
    const results = job.recipients.map((recipient) => ({ recipient, stage: SWALLOWED.stage, outcome }));
    const startedAtMs = this.#ports.environment.clock.nowMs();
    this.#ports.reporter.report(job, { host: '', startedAtMs, handover: 'nowhere' }, results);
    this.#ports.jobEnded(job);
  }

  connectionsTo(): number {
    return 0;
  }

  sweep(): void {
    // Nothing is kept open.
  }

  stop(): readonly Job[] {
    return [];
  }

  recall(): readonly Job[] {
    return [];
  }

  abort(): void {
    // Nothing takes time.
  }
}
