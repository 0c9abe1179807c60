/** What a destination over SMTP shares with the others: one health of hosts, one budget of connections, one reporter. */
import type { AttemptReporter } from './attempt-report.js';
import type { ConnectionBudget } from './connection-budget.js';
import type { FlowMeter } from './flow-meter.js';
import type { HostHealth } from './host-health.js';
import type { Job } from './job.js';
import type { RelayEnvironment, Resolver, Transport } from './ports.js';

export interface SmtpDestinationPorts {
  readonly environment: RelayEnvironment;
  readonly resolver: Resolver;
  readonly transport: Transport;
  readonly health: HostHealth;
  readonly budget: ConnectionBudget;
  readonly reporter: AttemptReporter;
  /** Rate limits that hold for it; none: it sends as fast as it can. */
  readonly flows: readonly FlowMeter[];
  /** The job is over: its memory is free. */
  jobEnded(job: Job): void;
  /** The job was not attempted and will not be, because the worker stops. */
  jobReturned(job: Job): void;
}
