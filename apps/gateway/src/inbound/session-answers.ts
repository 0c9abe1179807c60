/** Answers about a session: connect, HELO, and what is written down when it ends. */
import { newId } from '#database';
import { traceOf, type RecordedTls } from '#audit';
import { judgeConnect, judgeHelo, type Decision } from '#policy';
import { parseDomain, type Answer, type Reply, type TlsFacts } from '#smtp-core';
import type { MaybePromise, ServerSession } from '#smtp-net';
import type { LivePolicy } from '../policy/policy-holder.js';
import type { AnswerDependencies } from './answer-dependencies.js';
import { stateOf, type InboundSession } from './inbound-session.js';
import { LookUps } from './look-ups.js';
import { refusal, replyText, SERVICE_NOT_READY } from './replies.js';
import { OpenConnections, sessionFacts } from './session-facts.js';
import { waitMs } from './wait.js';

export class SessionAnswers {
  readonly #connections = new OpenConnections();

  constructor(private readonly use: AnswerDependencies) {}

  /** Asked again after XCLIENT: the client is another one then. */
  connect(session: ServerSession): MaybePromise<Answer> {
    const inbound = this.#begin(session);
    const policy = this.use.currentPolicy();
    if (policy === undefined || !isServed(policy, inbound) || !this.use.canStore()) {
      return this.#refuseConnection(session, inbound, SERVICE_NOT_READY, 'builtin/not-ready');
    }
    if (this.use.isDraining()) {
      return this.#refuseConnection(session, inbound, SERVICE_NOT_READY, 'builtin/draining');
    }
    const needed = policy.snapshot.policy.neededFacts;
    inbound.lookUps.begin(needed);
    const judge = (): MaybePromise<Answer> => this.#judgeConnect(session, inbound, policy);
    const settled = inbound.lookUps.settled(needed.connect);
    return settled === undefined ? judge() : settled.then(judge);
  }

  helo(session: ServerSession, domain: string): MaybePromise<Answer> {
    const inbound = stateOf(session);
    const policy = this.use.currentPolicy();
    if (policy === undefined) return { effect: 'refuse', reply: SERVICE_NOT_READY, close: true };
    const kind = heloKind(domain, this.use.hostname, session.local.address);
    inbound.facts = { ...inbound.facts, helo: domain, 'helo.kind': kind };
    const needed = policy.snapshot.policy.neededFacts;
    inbound.lookUps.begin(needed);
    const judge = (): MaybePromise<Answer> => {
      const facts = { ...inbound.facts, ...inbound.lookUps.known, ...sessionFacts(session, inbound) };
      const decision = judgeHelo(policy.snapshot, facts);
      const refused = decision.verdict !== 'accept' && decision.answer === 'now';
      if (refused) this.use.limits.refused(decision, { snapshot: policy.snapshot, facts, decision });
      return later(
        inbound,
        decision,
        refused ? { effect: 'refuse', reply: refusal(decision, traceOf(inbound.id)) } : ACCEPT,
      );
    };
    const settled = inbound.lookUps.settled(needed.connect, needed.helo);
    return settled === undefined ? judge() : settled.then(judge);
  }

  #begin(session: ServerSession): InboundSession {
    const before = session.state as InboundSession | undefined;
    if (before !== undefined) this.#connections.closed(before.clientAddress);
    const clientAddress = plainAddress(session.client.address);
    const inbound: InboundSession = {
      id: before?.id ?? newId(),
      listener: session.listener,
      clientAddress,
      lookUps: new LookUps(this.use.dns, clientAddress, toldName(session)),
      facts: {
        listener: session.listener,
        ip: clientAddress,
        time: new Date().toISOString(),
        connections: this.#connections.opened(clientAddress),
        'early-talker': session.earlyTalker,
      },
      transaction: undefined,
      refused: false,
      waitedMs: before?.waitedMs ?? 0,
      granted: undefined,
      scramUnderWay: false,
      authRefusal: undefined,
      refusals: before?.refusals ?? 0,
      refusedCommands: before?.refusedCommands ?? [],
    };
    session.state = inbound;
    return inbound;
  }

  #judgeConnect(session: ServerSession, inbound: InboundSession, policy: LivePolicy): MaybePromise<Answer> {
    const { snapshot } = policy;
    const known = { ...inbound.facts, ...inbound.lookUps.known };
    const limited = this.use.limits.judge('connect', {
      snapshot,
      facts: known,
      judge: (facts) => judgeConnect(snapshot, facts),
    });
    const { decision, delayMs } = limited;
    if (delayMs > 0) inbound.facts = { ...inbound.facts, ...limited.facts };
    if (decision.verdict === 'accept') limited.charge();
    const refused = decision.verdict !== 'accept' && decision.answer === 'now';
    if (refused) this.use.limits.refused(decision, { snapshot, facts: known, decision });
    const answer = refused
      ? this.#refuseConnection(session, inbound, refusal(decision, traceOf(inbound.id)), decision.by)
      : ACCEPT;
    if (refused || delayMs === 0) return later(inbound, decision, answer);
    return waitMs(delayMs).then(() => later(inbound, decision, answer));
  }

  /** What went wrong before there was a transaction is found by the session's own trace. */
  traceOf(session: ServerSession): string | undefined {
    const inbound = session.state as InboundSession | undefined;
    return inbound === undefined ? undefined : (inbound.transaction?.trace ?? traceOf(inbound.id));
  }

  ended(session: ServerSession, reason: string): void {
    const inbound = session.state as InboundSession | undefined;
    if (inbound === undefined) return;
    this.#connections.closed(inbound.clientAddress);
    if (inbound.refused) return;
    this.use.appendAudit([
      {
        id: newId(),
        kind: 'session.ended',
        sessionId: inbound.id,
        clientAddress: inbound.clientAddress,
        data: {
          listener: inbound.listener,
          clientPort: session.client.port,
          helo: session.helo ?? '',
          startedAtMs: session.startedAtMs,
          endReason: reason,
          ...session.counters,
          refusals: inbound.refusals,
          ...(inbound.refusedCommands.length > 0 && { refusedCommands: inbound.refusedCommands }),
          ...(session.peer.address !== session.client.address && { peer: session.peer.address }),
          ...(session.tls !== undefined && { tls: recordedTls(session.tls) }),
          ...(session.auth !== undefined && { auth: session.auth }),
        },
      },
    ]);
  }

  #refuseConnection(session: ServerSession, inbound: InboundSession, reply: Reply, by: string): Answer {
    inbound.refused = true;
    this.use.appendAudit([
      {
        id: newId(),
        kind: 'connection.refused',
        sessionId: inbound.id,
        clientAddress: inbound.clientAddress,
        data: { listener: inbound.listener, clientPort: session.client.port, reply: replyText(reply), by },
      },
    ]);
    return { effect: 'refuse', reply, close: true };
  }
}

const ACCEPT: Answer = { effect: 'accept' };

/** A listener that the policy no longer has, or has not yet, takes nothing. */
function isServed(policy: LivePolicy, { listener }: InboundSession): boolean {
  return policy.snapshot.policy.listeners.some(({ name }) => name === listener);
}

/** The answer, after what rules make the client wait on top of what it has waited already. */
function later(inbound: InboundSession, { delayMs = 0 }: Decision, answer: Answer): MaybePromise<Answer> {
  const more = delayMs - inbound.waitedMs;
  if (more <= 0) return answer;
  inbound.waitedMs = delayMs;
  return waitMs(more).then(() => answer);
}

function recordedTls({ version, cipher, serverName, clientCertificate }: TlsFacts): RecordedTls {
  return {
    version,
    cipher,
    ...(serverName !== undefined && { serverName }),
    ...(clientCertificate !== undefined && { clientFingerprint: clientCertificate.fingerprint }),
  };
}

/** IPv4-mapped IPv6 addresses are IPv4 facts. */
function plainAddress(address: string): string {
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice('::ffff:'.length) : address;
}

/** The name that a front end has confirmed; what is no domain is not believed. */
function toldName({ xclient }: ServerSession): string | undefined {
  return xclient?.name === undefined ? undefined : parseDomain(xclient.name);
}

function heloKind(domain: string, hostname: string, localAddress: string): string {
  const name = domain.toLowerCase();
  const own = plainAddress(localAddress).toLowerCase();
  if (name === hostname || name === `[${own}]` || name === `[ipv6:${own}]`) return 'our-own-name';
  if (domain.startsWith('[')) return 'literal';
  return domain.includes('.') ? 'fqdn' : 'malformed';
}
