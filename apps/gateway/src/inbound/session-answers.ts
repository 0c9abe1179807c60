/** Answers about a session: connect, HELO, and what is written down when it ends. */
import { newId } from '#database';
import { traceOf } from '#audit';
import { judgeConnect, judgeHelo } from '#policy';
import type { Answer, Reply } from '#smtp-core';
import type { ServerSession } from '#smtp-net';
import type { AnswerDependencies } from './answer-dependencies.js';
import { stateOf, type InboundSession } from './inbound-session.js';
import { refusal, replyText, SERVICE_NOT_READY } from './replies.js';

export class SessionAnswers {
  constructor(private readonly use: AnswerDependencies) {}

  connect(session: ServerSession): Answer {
    const inbound: InboundSession = {
      id: newId(),
      listener: this.use.listenerOf(session.local) ?? '',
      clientAddress: plainAddress(session.client.address),
      facts: {},
      transaction: undefined,
      refused: false,
    };
    session.state = inbound;
    const policy = this.use.currentPolicy();
    if (policy === undefined || inbound.listener === '' || !this.use.canStore()) {
      return this.#refuseConnection(session, inbound, SERVICE_NOT_READY, 'builtin/not-ready');
    }
    inbound.facts = { listener: inbound.listener, ip: inbound.clientAddress, time: new Date().toISOString() };
    const decision = judgeConnect(policy.snapshot, inbound.facts);
    if (decision.verdict === 'accept' || decision.answer === 'at-rcpt') return { effect: 'accept' };
    return this.#refuseConnection(session, inbound, refusal(decision, traceOf(inbound.id)), decision.by);
  }

  helo(session: ServerSession, domain: string): Answer {
    const inbound = stateOf(session);
    const policy = this.use.currentPolicy();
    if (policy === undefined) return { effect: 'refuse', reply: SERVICE_NOT_READY, close: true };
    inbound.facts = {
      ...inbound.facts,
      helo: domain,
      'helo.kind': heloKind(domain, this.use.hostname, session.local.address),
    };
    const decision = judgeHelo(policy.snapshot, inbound.facts);
    if (decision.verdict === 'accept' || decision.answer === 'at-rcpt') return { effect: 'accept' };
    return { effect: 'refuse', reply: refusal(decision, traceOf(inbound.id)) };
  }

  ended(session: ServerSession, reason: string): void {
    const inbound = session.state as InboundSession | undefined;
    if (inbound === undefined || inbound.refused) return;
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

/** IPv4-mapped IPv6 addresses are IPv4 facts. */
function plainAddress(address: string): string {
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice('::ffff:'.length) : address;
}

function heloKind(domain: string, hostname: string, localAddress: string): string {
  const name = domain.toLowerCase();
  const own = plainAddress(localAddress).toLowerCase();
  if (name === hostname || name === `[${own}]` || name === `[ipv6:${own}]`) return 'our-own-name';
  if (domain.startsWith('[')) return 'literal';
  return domain.includes('.') ? 'fqdn' : 'malformed';
}
