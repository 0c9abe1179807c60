/** The wiring of the inbound side: listeners with their certificates, and the answers to what clients ask. */
import type { FactoryProvider, Provider } from '@nestjs/common';
import { newId, type Database } from '#database';
import { isProxy, mayXclient } from '#policy';
import { createSmtpServer, type SmtpServer } from '#smtp-net';
import { AuditIntake } from './audit-intake.js';
import { CertificateStore } from './certificates/certificate-store.js';
import type { GatewayConfig } from './config.js';
import { AcceptMessage } from './inbound/accept-message.js';
import { InboundAnswers } from './inbound/answer.js';
import { createAuthenticator } from './inbound/authenticator.js';
import { DnsFacts } from './inbound/dns-facts.js';
import { Listeners } from './inbound/listeners.js';
import { MemoryBudget } from './inbound/memory-budget.js';
import { TurnedAwayTally } from './inbound/turned-away.js';
import { GreylistMemory } from './greylist/greylist-memory.js';
import { LimitCounts } from './limits/limit-counts.js';
import { LimitGate } from './limits/limit-gate.js';
import type { Logger } from './log.js';
import { ContentThreads } from './mail-auth/content-threads.js';
import { MailAuth } from './mail-auth/mail-auth.js';
import { Drain } from './operations/drain.js';
import { PolicyHolder } from './policy/policy-holder.js';
import { DnsResolver } from './relay/dns-resolver.js';
import { FirstAttempts } from './relay/first-attempts.js';
import { OutgoingMail } from './relay/outgoing-mail.js';
import { RelayRunner } from './relay/relay-runner.js';
import { SigningKeys } from './relay/signing-keys.js';
import { ChunkBodies, SpoolBodies } from './inbound/body-store.js';
import { SpoolDirectory, spoolDirOf } from './relay/spooled-queue.js';
import { DATABASE, LISTENERS_REFERENCE, SERVER, type ListenersReference } from './tokens.js';

export function inboundProviders(config: GatewayConfig, log: Logger): Provider[] {
  return [
    { provide: MemoryBudget, useValue: new MemoryBudget(config.memoryBytes) },
    { provide: LimitCounts, useValue: new LimitCounts() },
    { provide: FACT_RESOLVER, useValue: factResolver(config) },
    {
      provide: DnsFacts,
      inject: [FACT_RESOLVER],
      useFactory: (servers: DnsResolver) => new DnsFacts({ servers }),
    },
    mailAuthProvider(log),
    {
      provide: OutgoingMail,
      inject: [DATABASE],
      useFactory: (database: Database) => new OutgoingMail(new SigningKeys(database.secrets)),
    },
    {
      provide: AcceptMessage,
      inject: [DATABASE, RelayRunner, SpoolDirectory, OutgoingMail],
      useFactory: (database: Database, relay: RelayRunner, spool: SpoolDirectory, outgoing: OutgoingMail) =>
        new AcceptMessage(
          database.messages,
          new FirstAttempts(relay, outgoing),
          (content) => spool.readable(content),
          log,
        ),
    },
    {
      provide: TurnedAwayTally,
      inject: [AuditIntake],
      useFactory: (audit: AuditIntake) =>
        new TurnedAwayTally((events) => {
          audit.append(events);
        }),
    },
    answersProvider(config, log),
    {
      provide: SERVER,
      inject: [InboundAnswers],
      useFactory: (hooks: InboundAnswers) =>
        createSmtpServer({
          hostname: config.hostname,
          hooks,
          onBug: (error) => {
            log.error({ err: error }, 'a session failed on a bug');
          },
        }),
    },
    certificatesProvider(config, log),
    listenersProvider(config, log),
  ];
}

/** Facts are wanted while a client waits: sooner, and with fewer tries, than a relay would. */
const LOOK_UP = { timeoutMs: 2_000, tries: 2 };

function factResolver({ dnsServers }: GatewayConfig): DnsResolver {
  return new DnsResolver({ ...LOOK_UP, ...(dnsServers.length > 0 && { servers: dnsServers }) });
}

/** Shared by all facts: equal questions are asked once. */
const FACT_RESOLVER = Symbol('fact resolver');

function mailAuthProvider(log: Logger): FactoryProvider {
  return {
    provide: MailAuth,
    inject: [FACT_RESOLVER, MemoryBudget],
    useFactory: (dns: DnsResolver, budget: MemoryBudget) =>
      new MailAuth({ dns, threads: new ContentThreads({ names: dns, budget, log }), log }),
  };
}

type AnswerUses = readonly [
  Database,
  PolicyHolder,
  AuditIntake,
  MemoryBudget,
  AcceptMessage,
  DnsFacts,
  TurnedAwayTally,
  LimitCounts,
  Drain,
  MailAuth,
];

function answersProvider(config: GatewayConfig, log: Logger): FactoryProvider {
  return {
    provide: InboundAnswers,
    inject: [
      DATABASE,
      PolicyHolder,
      AuditIntake,
      MemoryBudget,
      AcceptMessage,
      DnsFacts,
      TurnedAwayTally,
      LimitCounts,
      Drain,
      MailAuth,
    ],
    useFactory: (
      ...[database, holder, audit, budget, acceptMessage, dns, turnedAway, counts, drain, mailAuth]: AnswerUses
    ) =>
      new InboundAnswers({
        hostname: config.hostname,
        bodies:
          config.bodyStore === 'database'
            ? new ChunkBodies(database.contents)
            : new SpoolBodies(spoolDirOf(config.dataDir)),
        inlineContentBytes: config.inlineContentBytes,
        budget,
        log,
        dns,
        mailAuth,
        authenticator: createAuthenticator({ accounts: database.accounts }),
        limits: new LimitGate(counts, () => Date.now()),
        greylist: new GreylistMemory({ store: database.greylist, log }),
        currentPolicy: () => holder.current,
        canStore: () => audit.canStore,
        isDraining: () => drain.active,
        appendAudit: (events) => {
          audit.append(events);
        },
        acceptMessage,
        turnedAway,
      }),
  };
}

function certificatesProvider(config: GatewayConfig, log: Logger): FactoryProvider {
  return {
    provide: CertificateStore,
    inject: [AuditIntake],
    useFactory: (audit: AuditIntake) =>
      new CertificateStore({
        directory: config.certificateDir,
        hostname: config.hostname,
        log,
        onLoaded: (loaded) => {
          audit.append([{ id: newId(), kind: 'certificate.loaded', data: { node: config.nodeName, ...loaded } }]);
        },
      }),
  };
}

function listenersProvider(config: GatewayConfig, log: Logger): FactoryProvider {
  return {
    provide: Listeners,
    inject: [SERVER, LISTENERS_REFERENCE, CertificateStore, PolicyHolder],
    useFactory: (
      server: SmtpServer,
      reference: ListenersReference,
      certificates: CertificateStore,
      holder: PolicyHolder,
    ) => {
      const needs = {
        certificates,
        isProxy: (listener: string, address: string) =>
          holder.current !== undefined && isProxy(holder.current.snapshot, listener, address),
        mayXclient: (listener: string, address: string) =>
          holder.current !== undefined && mayXclient(holder.current.snapshot, listener, address),
      };
      reference.current = new Listeners(server, needs, config.stopGraceMs, log);
      return reference.current;
    },
  };
}
