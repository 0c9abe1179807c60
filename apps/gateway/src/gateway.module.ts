/** The wiring: every `new` with arguments is here. Nest owns the order of starting and stopping through `Gateway`. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Module, type DynamicModule, type FactoryProvider, type InjectionToken } from '@nestjs/common';
import { fileSecretKeys, newId, openDatabase, OperationalError, type Database } from '#database';
import { AuditIntake } from './audit-intake.js';
import type { GatewayConfig } from './config.js';
import { Gateway, type GatewayParts } from './gateway.js';
import { CertificateStore } from './certificates/certificate-store.js';
import { inboundProviders } from './inbound-providers.js';
import { Listeners } from './inbound/listeners.js';
import { SpoolSweeper } from './inbound/spool-sweeper.js';
import { TurnedAwayTally } from './inbound/turned-away.js';
import { MemoryBudget } from './inbound/memory-budget.js';
import { LimitCounts } from './limits/limit-counts.js';
import type { Logger } from './log.js';
import { Drain } from './operations/drain.js';
import { LastError } from './operations/last-error.js';
import { OperatorWishes } from './operations/operator-wishes.js';
import { SuspendedDestinations } from './operations/suspended-destinations.js';
import { routeNotice } from './policy/notice-routing.js';
import { PolicyHolder } from './policy/policy-holder.js';
import { PolicyReloader } from './policy/policy-reloader.js';
import { RouteTable } from './policy/route-table.js';
import { OutgoingMail } from './relay/outgoing-mail.js';
import { RelayRunner } from './relay/relay-runner.js';
import { SpoolDirectory, spoolDirOf, spooledQueue } from './relay/spooled-queue.js';
import { ReviewRunner } from './reviews/review-runner.js';
import { DATABASE, LISTENERS_REFERENCE, SERVER, type ListenersReference } from './tokens.js';

@Module({})
export class GatewayModule {
  static with(config: GatewayConfig, log: Logger, lastError: LastError): DynamicModule {
    return {
      module: GatewayModule,
      providers: [
        PolicyHolder,
        Drain,
        { provide: LastError, useValue: lastError },
        {
          provide: SuspendedDestinations,
          inject: [DATABASE],
          useFactory: (database: Database) => new SuspendedDestinations(database.destinations),
        },
        { provide: LISTENERS_REFERENCE, useValue: { current: undefined } satisfies ListenersReference },
        {
          provide: SpoolDirectory,
          inject: [DATABASE],
          useFactory: (database: Database) =>
            new SpoolDirectory(spoolDirOf(config.dataDir), (messageId) => database.contents.read(messageId)),
        },
        { provide: RouteTable, useValue: new RouteTable(join(config.dataDir, 'mail')) },
        {
          provide: DATABASE,
          useFactory: () => openPatiently(config, log),
        },
        { provide: AuditIntake, inject: [DATABASE], useFactory: (database: Database) => new AuditIntake(database) },
        ...inboundProviders(config, log),
        sweeperProvider(config, log),
        relayProvider(config, log),
        policyProvider(config, log),
        reviewProvider(config, log),
        wishesProvider(config, log),
        gatewayProvider(config, log),
      ],
    };
  }
}

const OPEN_AGAIN_MS = 1_000;

/** A database that is full or busy at the start may recover; one that is unfit will not. */
async function openPatiently(config: GatewayConfig, log: Logger): Promise<Database> {
  for (;;) {
    try {
      return await openDatabase({
        url: config.databaseUrl,
        applicationName: 'postern gateway',
        secretKeys: fileSecretKeys(config.secretKeyFile, { readFile, stat }),
      });
    } catch (error) {
      if (!(error instanceof OperationalError) || !error.retryable) throw error;
      log.error({ err: error }, 'database not usable yet, trying again');
      await new Promise((resolve) => setTimeout(resolve, OPEN_AGAIN_MS));
    }
  }
}

function sweeperProvider(config: GatewayConfig, log: Logger): FactoryProvider {
  const spoolDir = spoolDirOf(config.dataDir);
  return {
    provide: SpoolSweeper,
    inject: [DATABASE, SpoolDirectory],
    useFactory: (database: Database, spool: SpoolDirectory) => {
      const sweeper = new SpoolSweeper({ spoolDir, queue: database.queue, nowMs: () => Date.now(), log });
      spool.onFinished((messageIds) => {
        sweeper.sweepSome(messageIds);
      });
      return sweeper;
    },
  };
}

type RelayUses = readonly [
  Database,
  RouteTable,
  PolicyHolder,
  AuditIntake,
  ListenersReference,
  SpoolDirectory,
  SuspendedDestinations,
  OutgoingMail,
];

function relayProvider(config: GatewayConfig, log: Logger): FactoryProvider {
  const options = {
    hostname: config.hostname,
    maxHeldBytes: config.memoryBytes,
    certificateDir: config.certificateDir,
    ...(config.dnsServers.length > 0 && { dns: { servers: config.dnsServers } }),
  };
  return {
    provide: RelayRunner,
    inject: [
      DATABASE,
      RouteTable,
      PolicyHolder,
      AuditIntake,
      LISTENERS_REFERENCE,
      SpoolDirectory,
      SuspendedDestinations,
      OutgoingMail,
    ],
    useFactory: (...[database, routes, holder, audit, listeners, spool, suspended, outgoing]: RelayUses) =>
      new RelayRunner(options, {
        queue: spooledQueue(database.queue, spool, outgoing),
        routes,
        secrets: database.secrets,
        countGateways: async () => (await database.nodes.list()).filter(({ alive }) => alive).length,
        newId,
        routeNotice: (recipient) => routeNotice(holder.current, recipient, new Date().toISOString()),
        noticeRules: () => holder.loaded?.policy.notices,
        isSelf: (_host, address, port) => listeners.current?.isOwn(address, port) ?? false,
        isSuspended: (domain) => suspended.has(domain),
        appendEvents: (events) => {
          audit.append(events);
        },
        warn: (message, error) => {
          log.warn({ err: error }, message);
        },
      }),
  };
}

type ReloaderUses = readonly [Database, PolicyHolder, Listeners, RouteTable, RelayRunner, AuditIntake];

function policyProvider(config: GatewayConfig, log: Logger): FactoryProvider {
  return {
    provide: PolicyReloader,
    inject: [DATABASE, PolicyHolder, Listeners, RouteTable, RelayRunner, AuditIntake],
    useFactory: (...[database, holder, listeners, routes, relay, audit]: ReloaderUses) => {
      const reloader = new PolicyReloader({
        policyName: 'main',
        nodeName: config.nodeName,
        policies: database.policies,
        lists: database.lists,
        holder,
        listeners,
        appendAudit: (events) => {
          audit.append(events);
        },
        log,
      });
      reloader.onSwap((loaded) => {
        routes.update(loaded);
        relay.wake();
      });
      return reloader;
    },
  };
}

type ReviewUses = readonly [Database, PolicyHolder, SpoolDirectory, RelayRunner];

function reviewProvider(config: GatewayConfig, log: Logger): FactoryProvider {
  return {
    provide: ReviewRunner,
    inject: [DATABASE, PolicyHolder, SpoolDirectory, RelayRunner],
    useFactory: (...[database, holder, spool, relay]: ReviewUses) =>
      new ReviewRunner({
        reviews: database.reviews,
        transaction: (id) => database.audit.transaction(id),
        currentPolicy: () => holder.current,
        spool,
        hostname: config.hostname,
        wake: () => {
          relay.wake();
        },
        log,
      }),
  };
}

type WishesUses = readonly [Database, RelayRunner, ReviewRunner, SuspendedDestinations, Drain, PolicyHolder];

function wishesProvider(config: GatewayConfig, log: Logger): FactoryProvider {
  return {
    provide: OperatorWishes,
    inject: [DATABASE, RelayRunner, ReviewRunner, SuspendedDestinations, Drain, PolicyHolder],
    useFactory: (...[database, relay, reviews, suspended, drain, holder]: WishesUses) =>
      new OperatorWishes({
        database,
        relay,
        reviews,
        suspended,
        drain,
        currentPolicy: () => holder.current,
        nodeName: config.nodeName,
        log,
      }),
  };
}

function gatewayProvider(config: GatewayConfig, log: Logger): FactoryProvider {
  const tokens = {
    database: DATABASE,
    server: SERVER,
    listeners: Listeners,
    relay: RelayRunner,
    reloader: PolicyReloader,
    sweeper: SpoolSweeper,
    audit: AuditIntake,
    reviews: ReviewRunner,
    certificates: CertificateStore,
    turnedAway: TurnedAwayTally,
    limitCounts: LimitCounts,
    wishes: OperatorWishes,
    drain: Drain,
    lastError: LastError,
    budget: MemoryBudget,
  } satisfies Record<Exclude<keyof GatewayParts, 'config' | 'log'>, InjectionToken>;
  return {
    provide: Gateway,
    inject: Object.values(tokens),
    useFactory: (...uses: unknown[]) => {
      const parts = Object.fromEntries(Object.keys(tokens).map((name, at) => [name, uses[at]]));
      return new Gateway({ config, log, ...parts } as GatewayParts);
    },
  };
}
