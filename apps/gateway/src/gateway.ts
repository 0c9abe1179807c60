/**
 * One running gateway: starts its parts in the order in which they need each other, and stops them in reverse.
 *
 * Start: directories, place in the cluster (takes over what a killed predecessor left), relay, policy with its
 * listeners. Stop: no new mail, transactions in progress end, relay finishes or gives back, the audit is flushed, leases freed.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { OnApplicationBootstrap, OnApplicationShutdown } from '@nestjs/common';
import { newId, type Database, type JoinedNode } from '#database';
import type { PolicyLimits } from '#policy';
import { DEFAULT_LIMITS } from '#smtp-core';
import type { SmtpServer } from '#smtp-net';
import { Checkpointer } from './audit/checkpointer.js';
import { loadSigningKey } from './audit/signing-key.js';
import type { AuditIntake } from './audit-intake.js';
import type { CertificateStore } from './certificates/certificate-store.js';
import type { GatewayConfig } from './config.js';
import { failForGood, tellSupervisor } from './fatal.js';
import { ListenFailure, type Listeners } from './inbound/listeners.js';
import type { SpoolSweeper } from './inbound/spool-sweeper.js';
import type { TurnedAwayTally } from './inbound/turned-away.js';
import type { MemoryBudget } from './inbound/memory-budget.js';
import { LimitExchange } from './limits/limit-exchange.js';
import type { LimitCounts } from './limits/limit-counts.js';
import type { Logger } from './log.js';
import { GatewayMetrics } from './metrics/gateway-metrics.js';
import { MetricsServer } from './metrics/metrics-server.js';
import type { Drain } from './operations/drain.js';
import type { LastError } from './operations/last-error.js';
import type { OperatorWishes } from './operations/operator-wishes.js';
import type { PolicyReloader } from './policy/policy-reloader.js';
import type { RelayRunner } from './relay/relay-runner.js';
import type { ReviewRunner } from './reviews/review-runner.js';
import { VERSION } from './version.js';

/** A predecessor that is still closing its sockets is given this long before a taken port is an error. */
const PORT_PATIENCE_MS = 3_000;
const PORT_RETRY_MS = 200;
/** Of the stop grace, what is left for sessions; the rest is for relay and the last commit. */
const SESSION_SHARE = 0.5;

export interface GatewayParts {
  readonly config: GatewayConfig;
  readonly log: Logger;
  readonly database: Database;
  readonly server: SmtpServer;
  readonly listeners: Listeners;
  readonly relay: RelayRunner;
  readonly reloader: PolicyReloader;
  readonly sweeper: SpoolSweeper;
  readonly audit: AuditIntake;
  readonly reviews: ReviewRunner;
  readonly certificates: CertificateStore;
  readonly turnedAway: TurnedAwayTally;
  readonly limitCounts: LimitCounts;
  readonly wishes: OperatorWishes;
  readonly drain: Drain;
  readonly lastError: LastError;
  readonly budget: MemoryBudget;
}

export class Gateway implements OnApplicationBootstrap, OnApplicationShutdown {
  #unsubscribe: (() => void) | undefined;
  #ready = false;
  #checkpointer: Checkpointer | undefined;
  #limits: LimitExchange | undefined;
  #metrics: MetricsServer | undefined;
  #revision = 0;

  constructor(private readonly parts: GatewayParts) {}

  async onApplicationBootstrap(): Promise<void> {
    const { config, database, log, relay, reloader, reviews, sweeper, listeners } = this.parts;
    await mkdir(join(config.dataDir, 'spool'), { recursive: true, mode: 0o700 });
    await mkdir(join(config.dataDir, 'mail'), { recursive: true, mode: 0o700 });
    const node = await database.nodes.join(config.nodeName);
    node.onNameLost((error) => {
      failForGood(error.message);
    });
    await this.#startMetrics();
    await this.#startWishes(node);
    await this.#startCheckpoints();
    this.#record('gateway.started', { node: config.nodeName, version: VERSION });
    const limits = new LimitExchange({
      counts: this.parts.limitCounts,
      store: database.limits,
      nowMs: () => Date.now(),
      log,
      reportAlone: (since) => {
        node.reportLimitsAlone(since);
      },
    });
    this.#limits = limits;
    reloader.onSwap((loaded) => {
      limits.needed(loaded.policy.limitProfiles.length > 0);
      database.keepAudit(loaded.policy.auditDays);
      node.reportPolicy(loaded.revision, loaded.digest);
      this.#revision = loaded.revision;
      this.#applyLimits(loaded.policy.limits);
      if (this.#ready) this.#tellReady();
    });
    reloader.onRefusal((refused) => {
      node.reportRefusal(refused);
    });
    await this.#loadPolicy();
    await this.parts.certificates.makeDefault();
    relay.start();
    sweeper.start();
    reviews.start();
    const stopPolicyHints = await database.notifications.listen(['policy_published', 'list_changed'], () => {
      reloader.hint();
    });
    const stopReviewHints = await database.notifications.listen(['review_requested'], () => {
      reviews.hint();
    });
    this.#unsubscribe = () => {
      stopPolicyHints();
      stopReviewHints();
    };
    log.info({ listeners: listeners.bound }, 'gateway is ready');
    this.#ready = true;
    this.#tellReady();
  }

  async onApplicationShutdown(): Promise<void> {
    const { config, database, listeners, log, relay, reloader, reviews, server, sweeper } = this.parts;
    log.info('stopping: no new mail, finishing what is in flight');
    this.#unsubscribe?.();
    sweeper.stop();
    await this.parts.wishes.stop();
    await reviews.stop();
    await reloader.stop();
    const sessionsGraceMs = Math.floor(config.stopGraceMs * SESSION_SHARE);
    await listeners.stop(sessionsGraceMs);
    await server.close(0);
    await this.parts.certificates.stop();
    this.parts.turnedAway.tell();
    await this.#limits?.stop();
    await relay.stop(config.stopGraceMs - sessionsGraceMs);
    this.#record('gateway.stopped', { node: config.nodeName, reason: 'stop' });
    await database.audit.flush().catch(() => undefined);
    await this.#checkpointer?.stop();
    await this.#metrics?.stop();
    await database.close();
  }

  /** Early: whoever watches the start sees it. */
  async #startMetrics(): Promise<void> {
    const { audit, budget, config, database, drain, log, relay, server } = this.parts;
    if (config.metrics === undefined) return;
    const metrics = new GatewayMetrics(() => ({
      sessions: server.connections,
      relaying: relay.figures.jobs,
      heldBytes: budget.usedBytes,
      policyRevision: this.#revision,
      databaseReachable: database.healthy,
      draining: drain.active,
    }));
    database.onCommit((rows, tookMs) => {
      metrics.committed(rows, tookMs);
    });
    this.#metrics = new MetricsServer({
      ...config.metrics,
      metrics: () => metrics.text(),
      whyNotReady: () => {
        if (!this.#ready) return 'the gateway is starting';
        if (drain.active) return 'an operator drains this gateway';
        return audit.canStore ? undefined : 'the database does not answer';
      },
    });
    const { host, port } = config.metrics;
    try {
      log.info({ host, port: await this.#metrics.start() }, 'metrics are served');
    } catch (error) {
      const where = `${host}:${String(port)} (GATEWAY_METRICS_HOST, GATEWAY_METRICS_PORT)`;
      throw new ListenFailure(`metrics can not be served on ${where}: ${String(error)}`, { cause: error });
    }
  }

  /** Before any mail flows: what operators have suspended is not attempted, and a drain outlives a restart. */
  async #startWishes(node: JoinedNode): Promise<void> {
    const { drain, lastError, relay, server, wishes } = this.parts;
    node.reportFigures(() => ({
      draining: drain.active,
      sessions: server.connections,
      jobs: relay.figures.jobs,
      ...(lastError.last !== undefined && { lastError: lastError.last }),
    }));
    wishes.onDrainChanged(() => {
      node.tellFigures();
    });
    await wishes.start();
  }

  async #startCheckpoints(): Promise<void> {
    const { config, database, log } = this.parts;
    this.#checkpointer = new Checkpointer({
      checkpoints: database.audit.checkpoints,
      node: config.nodeName,
      key: await loadSigningKey(config.dataDir),
      file: join(config.dataDir, 'checkpoints.ndjson'),
      nowMs: () => Date.now(),
      log,
    });
    await this.#checkpointer.start();
  }

  /** Connections are handed to the workers in turn: each allows its share. */
  #applyLimits({ maxMessageSizeBytes, ...limits }: PolicyLimits): void {
    const share = (whole: number): number => Math.ceil(whole / this.parts.config.workers);
    this.parts.server.setLimits({
      maxMessageBytes: maxMessageSizeBytes,
      ...limits,
      maxConnections: share(limits.maxConnections),
      maxConnectionsPerAddress: share(limits.maxConnectionsPerAddress),
      maxConnectionsPerNetwork: share(DEFAULT_LIMITS.maxConnectionsPerNetwork),
    });
  }

  #tellReady(): void {
    tellSupervisor({ kind: 'ready', listeners: this.parts.listeners.bound });
  }

  async #loadPolicy(): Promise<void> {
    const deadlineMs = performance.now() + PORT_PATIENCE_MS;
    for (;;) {
      try {
        await this.parts.reloader.start();
        return;
      } catch (error) {
        if (!(error instanceof ListenFailure) || performance.now() > deadlineMs) throw error;
        await new Promise((resolve) => setTimeout(resolve, PORT_RETRY_MS));
      }
    }
  }

  #record(
    ...event:
      | [kind: 'gateway.started', data: { node: string; version: string }]
      | [kind: 'gateway.stopped', data: { node: string; reason: string }]
  ): void {
    const [kind, data] = event;
    this.parts.audit.append([kind === 'gateway.started' ? { id: newId(), kind, data } : { id: newId(), kind, data }]);
  }
}
