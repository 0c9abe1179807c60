/** The wiring: every `new` with arguments is here. Nest owns the order of starting and stopping through `Gateway`. */
import { join } from 'node:path';
import { Module, type DynamicModule, type FactoryProvider } from '@nestjs/common';
import { openDatabase, type Database } from '#database';
import { createSmtpServer, type SmtpServer } from '#smtp-net';
import { AuditIntake } from './audit-intake.js';
import type { GatewayConfig } from './config.js';
import { Gateway } from './gateway.js';
import { AcceptMessage } from './inbound/accept-message.js';
import { InboundAnswers } from './inbound/answer.js';
import { Listeners } from './inbound/listeners.js';
import { MemoryBudget } from './inbound/memory-budget.js';
import { SpoolSweeper } from './inbound/spool-sweeper.js';
import type { Logger } from './log.js';
import { routeNotice } from './policy/notice-routing.js';
import { PolicyHolder } from './policy/policy-holder.js';
import { PolicyReloader } from './policy/policy-reloader.js';
import { RouteTable } from './policy/route-table.js';
import { createRelay, type Relay } from './relay/relay-runner.js';

const CONFIG = Symbol('gateway config');
const LOG = Symbol('log');
const DATABASE = Symbol('database');
const RELAY = Symbol('relay');
const SERVER = Symbol('smtp server');

/** A provider made by calling `make` with what its tokens stand for. */
function provide<A extends readonly unknown[], T>(
  token: symbol | (abstract new (...args: never[]) => T),
  inject: FactoryProvider['inject'] & unknown[],
  make: (...args: A) => T | Promise<T>,
): FactoryProvider {
  return { provide: token, inject, useFactory: (...args: unknown[]) => make(...(args as unknown as A)) };
}

@Module({})
export class GatewayModule {
  static with(config: GatewayConfig, log: Logger): DynamicModule {
    return {
      module: GatewayModule,
      providers: [
        { provide: CONFIG, useValue: config },
        { provide: LOG, useValue: log },
        PolicyHolder,
        provide(DATABASE, [], () => openDatabase({ url: config.databaseUrl, applicationName: 'postern gateway' })),
        provide(AuditIntake, [DATABASE], (database: Database) => new AuditIntake(database)),
        provide(MemoryBudget, [], () => new MemoryBudget(config.memoryBytes)),
        provide(RouteTable, [], () => new RouteTable(mailDir(config))),
        provide(SERVER, [InboundAnswers], (hooks: InboundAnswers) =>
          createSmtpServer({
            hostname: config.hostname,
            hooks,
            onBug: (error) => {
              log.error({ err: error }, 'a session failed on a bug');
            },
          }),
        ),
        ...inboundProviders(config, log),
        ...relayProviders(config, log),
        ...policyProviders(config, log),
        provide(
          Gateway,
          [DATABASE, SERVER, Listeners, RELAY, PolicyReloader, SpoolSweeper, AuditIntake],
          (
            database: Database,
            server: SmtpServer,
            listeners: Listeners,
            relay: Relay,
            reloader: PolicyReloader,
            sweeper: SpoolSweeper,
            audit: AuditIntake,
          ) => new Gateway({ config, log, database, server, listeners, relay, reloader, sweeper, audit }),
        ),
      ],
    };
  }
}

function inboundProviders(config: GatewayConfig, log: Logger): FactoryProvider[] {
  return [
    provide(
      AcceptMessage,
      [DATABASE, RELAY],
      (database: Database, relay: Relay) => new AcceptMessage(database.messages, relay, log),
    ),
    provide(
      InboundAnswers,
      [PolicyHolder, AuditIntake, MemoryBudget, AcceptMessage, LISTENER_NAMES],
      (
        holder: PolicyHolder,
        audit: AuditIntake,
        budget: MemoryBudget,
        acceptMessage: AcceptMessage,
        names: ListenerNames,
      ) =>
        new InboundAnswers({
          hostname: config.hostname,
          spoolDir: spoolDir(config),
          inlineContentBytes: config.inlineContentBytes,
          budget,
          log,
          listenerOf: (local) => names.listeners?.nameOf(local),
          currentPolicy: () => holder.current,
          canStore: () => audit.canStore,
          appendAudit: (events) => {
            audit.append(events);
          },
          acceptMessage,
        }),
    ),
    provide(LISTENER_NAMES, [], (): ListenerNames => ({ listeners: undefined })),
    provide(Listeners, [SERVER, LISTENER_NAMES], (server: SmtpServer, names: ListenerNames) => {
      names.listeners = new Listeners(server, config.stopGraceMs, log);
      return names.listeners;
    }),
    provide(
      SpoolSweeper,
      [DATABASE],
      (database: Database) =>
        new SpoolSweeper({ spoolDir: spoolDir(config), queue: database.queue, nowMs: () => Date.now(), log }),
    ),
  ];
}

function relayProviders(config: GatewayConfig, log: Logger): FactoryProvider[] {
  return [
    provide(
      RELAY,
      [DATABASE, RouteTable, PolicyHolder, AuditIntake, LISTENER_NAMES],
      (database: Database, routes: RouteTable, holder: PolicyHolder, audit: AuditIntake, names: ListenerNames) =>
        createRelay({
          hostname: config.hostname,
          spoolDir: spoolDir(config),
          maxHeldBytes: config.memoryBytes,
          dnsServers: config.dnsServers,
          queue: database.queue,
          routes,
          routeNotice: (recipient) => routeNotice(holder.current, recipient, new Date().toISOString()),
          isListener: (address, port) => names.listeners?.nameOf({ address, port }) !== undefined,
          appendEvents: (events) => {
            audit.append(events);
          },
          log,
        }),
    ),
  ];
}

function policyProviders(config: GatewayConfig, log: Logger): FactoryProvider[] {
  return [
    provide(
      PolicyReloader,
      [DATABASE, PolicyHolder, Listeners, RouteTable, RELAY, AuditIntake],
      (...[database, holder, listeners, routes, relay, audit]: ReloaderUses) => {
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
    ),
  ];
}

type ReloaderUses = readonly [Database, PolicyHolder, Listeners, RouteTable, Relay, AuditIntake];

/** Listeners need the server, the server needs its hooks, and the hooks need the listeners' names: this breaks the circle. */
interface ListenerNames {
  listeners: Listeners | undefined;
}
const LISTENER_NAMES = Symbol('listener names');

function spoolDir(config: GatewayConfig): string {
  return join(config.dataDir, 'spool');
}

function mailDir(config: GatewayConfig): string {
  return join(config.dataDir, 'mail');
}
