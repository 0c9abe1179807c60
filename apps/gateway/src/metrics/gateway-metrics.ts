/**
 * What the gateway tells Prometheus. Everything that happens is a row of the audit, so it is counted where rows are
 * committed, and costs the message path nothing else. Labels have few values: kinds of events, never names or addresses.
 */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

export interface CurrentFigures {
  /** Connections of clients. */
  readonly sessions: number;
  /** Messages that relay has in hand. */
  readonly relaying: number;
  readonly heldBytes: number;
  /** 0 before one is loaded. */
  readonly policyRevision: number;
  readonly databaseReachable: boolean;
  readonly draining: boolean;
}

const COMMIT_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10];
const ROWS_PER_COMMIT = [1, 3, 10, 30, 100, 300, 1_000, 3_000];

const GAUGES: readonly (readonly [name: string, help: string, value: (now: CurrentFigures) => number])[] = [
  ['postern_sessions', 'Connections of SMTP clients now', (now) => now.sessions],
  ['postern_relay_jobs', 'Messages that relay has in hand now', (now) => now.relaying],
  ['postern_held_content_bytes', 'Content of messages held in memory now', (now) => now.heldBytes],
  ['postern_policy_revision', 'Revision of the policy that decides here', (now) => now.policyRevision],
  ['postern_database_up', '1 while the database answers', (now) => Number(now.databaseReachable)],
  ['postern_draining', '1 while an operator drains this gateway', (now) => Number(now.draining)],
];

export class GatewayMetrics {
  readonly #registry = new Registry();
  readonly #events = new Counter({
    name: 'postern_audit_events_total',
    help: 'Events committed to the audit by this process, by kind (docs/audit.md)',
    labelNames: ['kind'],
    registers: [this.#registry],
  });
  readonly #commitSeconds = new Histogram({
    name: 'postern_commit_duration_seconds',
    help: 'Time of the statement that commits a group of messages, outcomes or events',
    buckets: COMMIT_SECONDS,
    registers: [this.#registry],
  });
  readonly #rowsPerCommit = new Histogram({
    name: 'postern_commit_rows',
    help: 'Rows of audit that one commit held',
    buckets: ROWS_PER_COMMIT,
    registers: [this.#registry],
  });

  constructor(current: () => CurrentFigures) {
    collectDefaultMetrics({ register: this.#registry });
    for (const [name, help, value] of GAUGES) {
      new Gauge({
        name,
        help,
        registers: [this.#registry],
        collect() {
          this.set(value(current()));
        },
      });
    }
  }

  /** A group of rows was committed. */
  committed(rows: readonly { readonly kind: string }[], tookMs: number): void {
    this.#commitSeconds.observe(tookMs / 1000);
    this.#rowsPerCommit.observe(rows.length);
    const counts = new Map<string, number>();
    for (const { kind } of rows) counts.set(kind, (counts.get(kind) ?? 0) + 1);
    for (const [kind, count] of counts) this.#events.inc({ kind }, count);
  }

  /** The exposition format of Prometheus. */
  async text(): Promise<{ readonly type: string; readonly body: string }> {
    return { type: this.#registry.contentType, body: await this.#registry.metrics() };
  }
}
