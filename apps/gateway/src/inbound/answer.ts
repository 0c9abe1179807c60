/**
 * The gateway's answers to the SMTP machine's questions: question → facts → decision → reply.
 *
 * It decides nothing itself: what a policy can say, the policy says; what remains
 * (no policy loaded, database away, no room, a loop) is refused temporarily, except the loop.
 */
import type { ContentSource } from '#delivery';
import { newId } from '#database';
import { traceOf, type AuditEvent } from '#audit';
import { judgeConnect, judgeHelo, judgeMail, judgeRecipient, type Facts, type RecipientDecision } from '#policy';
import { printMailbox, receivedHeader } from '#smtp-core';
import type { Answer, ForwardPath, MailParams, Reply, ReversePath, TransactionEnd as EndReason } from '#smtp-core';
import type { DataAnswer, ServerSession, SmtpServerHooks } from '#smtp-net';
import type { LivePolicy } from '../policy/policy-holder.js';
import type { Logger } from '../log.js';
import type { AcceptMessage } from './accept-message.js';
import { ContentBuffer, SpoolFailure } from './content-buffer.js';
import type { InboundSession, InboundTransaction } from './inbound-session.js';
import type { MemoryBudget } from './memory-budget.js';
import { readMessageHeaders } from './message-headers.js';
import { accepted, noRoom, notNow, refusal, replyText, routingLoop, SERVICE_NOT_READY } from './replies.js';
import { transactionEvents, type TransactionEnd } from './transaction-record.js';

/** RFC 5321 s6.3 asks for at least 100 hops to be allowed where loops are counted by Received fields. */
const MAX_RECEIVED = 100;

export interface AnswerDependencies {
  readonly hostname: string;
  readonly spoolDir: string;
  readonly inlineContentBytes: number;
  readonly budget: MemoryBudget;
  readonly log: Logger;
  /** The policy in force, undefined before the first one was loaded. */
  /** Name of the listener a connection came in by; undefined when it is no longer wanted. */
  readonly listenerOf: (local: { readonly address: string; readonly port: number }) => string | undefined;
  readonly currentPolicy: () => LivePolicy | undefined;
  /** Whether the database answers: without audit there is no mail. */
  readonly canStore: () => boolean;
  readonly appendAudit: (events: readonly AuditEvent[]) => void;
  readonly acceptMessage: AcceptMessage;
}

export class InboundAnswers implements SmtpServerHooks {
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

  helo(session: ServerSession, _verb: 'EHLO' | 'HELO', domain: string): Answer {
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

  mail(session: ServerSession, reversePath: ReversePath, parameters: MailParams): Answer {
    const inbound = stateOf(session);
    const id = newId();
    const trace = traceOf(id);
    const policy = this.use.currentPolicy();
    if (policy === undefined || !this.use.canStore()) return { effect: 'refuse', reply: notNow(trace) };
    // A large message goes to the spool: it needs no more memory than a small one.
    if (!this.use.budget.hasRoomFor(Math.min(parameters.sizeBytes ?? 0, this.use.inlineContentBytes))) {
      return { effect: 'refuse', reply: noRoom(trace) };
    }
    const sender = reversePath.kind === 'null' ? '' : printMailbox(reversePath.mailbox);
    const facts: Facts = {
      ...inbound.facts,
      time: new Date().toISOString(),
      sender,
      ...(parameters.sizeBytes !== undefined && { 'size.declared': parameters.sizeBytes }),
    };
    const decision = judgeMail(policy.snapshot, facts);
    const transaction: InboundTransaction = {
      id,
      trace,
      startedAtMs: Date.now(),
      policy,
      sender,
      parameters,
      facts,
      decision,
      recipients: [],
      accepted: [],
      content: undefined,
    };
    if (decision.verdict === 'accept' || decision.answer === 'at-rcpt') {
      inbound.transaction = transaction;
      return { effect: 'accept' };
    }
    const reply = refusal(decision, trace);
    this.#record(session, inbound, transaction, {
      kind: 'transaction.refused',
      by: decision.by,
      reply: replyText(reply),
      reason: 'sender-refused',
    });
    return { effect: 'refuse', reply };
  }

  rcpt(session: ServerSession, forwardPath: ForwardPath): Answer {
    const transaction = transactionOf(session);
    const recipient = forwardPath.kind === 'postmaster' ? 'postmaster' : printMailbox(forwardPath.mailbox);
    const own: Facts = { recipient, recipients: transaction.recipients.length + 1 };
    const decision = judgeRecipient(
      transaction.policy.snapshot,
      { ...transaction.facts, ...own },
      transaction.decision,
    );
    const refused = decision.verdict === 'accept' ? undefined : refusal(decision, transaction.trace);
    const reply = refused ?? RECIPIENT_OK;
    transaction.recipients.push(recordRecipient(decision, own, reply));
    if (refused === undefined) transaction.accepted.push(forwardPath);
    return refused === undefined ? { effect: 'accept', reply } : { effect: 'refuse', reply: refused };
  }

  data(session: ServerSession): DataAnswer {
    const inbound = stateOf(session);
    const transaction = transactionOf(session);
    if (!this.use.canStore()) return { effect: 'refuse', reply: notNow(transaction.trace) };
    if (!this.use.budget.hasRoomFor(this.use.inlineContentBytes)) {
      return { effect: 'refuse', reply: noRoom(transaction.trace) };
    }
    transaction.content = new ContentBuffer({
      id: transaction.id,
      spoolDir: this.use.spoolDir,
      inlineLimitBytes: this.use.inlineContentBytes,
      budget: this.use.budget,
      traceHeader: this.#traceHeader(session, inbound, transaction),
    });
    return { effect: 'accept', sink: transaction.content };
  }

  async message(session: ServerSession): Promise<Answer> {
    const inbound = stateOf(session);
    const transaction = transactionOf(session);
    const content = transaction.content;
    if (content === undefined) throw new Error('end of content without content');
    // The transaction is over, whatever the answer: transactionEnded has nothing left to record.
    inbound.transaction = undefined;
    const headers = readMessageHeaders(content.head());
    const message = {
      sizeBytes: content.receivedBytes,
      digest: content.digest(),
      ...(headers.messageId !== undefined && { messageId: headers.messageId }),
      ...(headers.from !== undefined && { from: headers.from }),
      ...(headers.subject !== undefined && { subject: headers.subject }),
    };
    if (headers.receivedCount > MAX_RECEIVED) {
      const reply = routingLoop(transaction.trace);
      content.abort();
      this.#record(session, inbound, transaction, {
        kind: 'transaction.refused',
        by: 'builtin/loop',
        reply: replyText(reply),
        reason: 'loop',
        message,
      });
      return { effect: 'refuse', reply };
    }
    return this.#accept(session, transaction, content, message);
  }

  transactionEnded(session: ServerSession, why: EndReason, reply?: Reply): void {
    const inbound = stateOf(session);
    const transaction = inbound.transaction;
    if (transaction === undefined) return;
    inbound.transaction = undefined;
    transaction.content?.abort();
    const last = reply === undefined ? transaction.recipients.at(-1)?.reply : replyText(reply);
    this.#record(session, inbound, transaction, {
      ...endOf(transaction, why),
      ...(last !== undefined && { reply: last }),
    });
  }

  sessionEnded(session: ServerSession, reason: string): void {
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

  async #accept(
    session: ServerSession,
    transaction: InboundTransaction,
    content: ContentBuffer,
    message: NonNullable<TransactionEnd['message']>,
  ): Promise<Answer> {
    const inbound = stateOf(session);
    const refused = await this.#store(session, transaction, content, message);
    content.release();
    if (refused === undefined) return { effect: 'accept', reply: accepted(transaction.trace) };
    this.#record(session, inbound, transaction, {
      kind: 'transaction.refused',
      by: 'builtin/not-stored',
      reply: replyText(refused),
      reason: 'not-stored',
      message,
    });
    return { effect: 'refuse', reply: refused };
  }

  /** Commits message and audit; the reply that refuses it when that cannot be done. */
  async #store(
    session: ServerSession,
    transaction: InboundTransaction,
    content: ContentBuffer,
    message: NonNullable<TransactionEnd['message']>,
  ): Promise<Reply | undefined> {
    let source: ContentSource;
    try {
      source = content.isInline ? { kind: 'inline', bytes: content.takeInline() } : await content.finish();
    } catch (error) {
      if (!(error instanceof SpoolFailure)) throw error;
      this.use.log.error({ transaction: transaction.trace, err: error }, 'content not stored, answered 452');
      content.abort();
      return noRoom(transaction.trace);
    }
    return this.use.acceptMessage.accept({
      id: transaction.id,
      trace: transaction.trace,
      sender: transaction.sender,
      content: source,
      sizeBytes: source.kind === 'inline' ? source.bytes.length : source.sizeBytes,
      body8bit: content.has8bit,
      policyRevision: transaction.policy.recorded.revision,
      recipients: transaction.recipients
        .filter((recipient) => recipient.verdict === 'accept')
        .map(({ id, address, route }) => ({ id, address, route: route ?? '' })),
      events: transactionEvents(session, stateOf(session), transaction, {
        kind: 'transaction.accepted',
        by: deciding(transaction),
        reply: replyText(accepted(transaction.trace)),
        message,
      }),
    });
  }

  #traceHeader(session: ServerSession, inbound: InboundSession, transaction: InboundTransaction): Buffer {
    const only = transaction.accepted.length === 1 ? transaction.accepted[0] : undefined;
    const field = receivedHeader({
      helo: session.helo,
      address: inbound.clientAddress,
      hostname: this.use.hostname,
      protocol: session.protocol,
      id: transaction.trace,
      atMs: Date.now(),
      ...(only?.kind === 'mailbox' && { recipient: only.mailbox }),
    });
    return Buffer.from(field, 'utf8');
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

  #record(session: ServerSession, inbound: InboundSession, transaction: InboundTransaction, end: TransactionEnd): void {
    this.use.appendAudit(transactionEvents(session, inbound, transaction, end));
  }
}

const RECIPIENT_OK: Reply = { code: 250, enhanced: '2.1.5', lines: ['Recipient OK'] };

function recordRecipient(
  decision: RecipientDecision,
  facts: Facts,
  reply: Reply,
): InboundTransaction['recipients'][number] {
  return {
    id: newId(),
    original: decision.original,
    address: decision.recipient,
    verdict: decision.verdict,
    by: decision.by,
    reply: replyText(reply),
    ...(decision.route !== undefined && { route: decision.route }),
    facts,
  };
}

/** How a transaction that reached no acceptance is recorded: refused where we refused it, abandoned where the client left. */
function endOf(transaction: InboundTransaction, why: EndReason): Pick<TransactionEnd, 'kind' | 'by' | 'reason'> {
  if (why === 'content-refused') return { kind: 'transaction.refused', by: 'builtin/content', reason: why };
  const refusedAll = transaction.recipients.length > 0 && transaction.accepted.length === 0;
  return refusedAll
    ? { kind: 'transaction.refused', by: deciding(transaction), reason: 'all-recipients-refused' }
    : { kind: 'transaction.abandoned', by: deciding(transaction), reason: why };
}

/** The rule behind the outcome: of the first recipient that got mail, or else of the first refused one. */
function deciding(transaction: InboundTransaction): string {
  const recipients = transaction.recipients;
  const decisive = recipients.find((recipient) => recipient.verdict === 'accept') ?? recipients[0];
  return decisive?.by ?? transaction.decision.by;
}

function stateOf(session: ServerSession): InboundSession {
  return session.state as InboundSession;
}

function transactionOf(session: ServerSession): InboundTransaction {
  const transaction = stateOf(session).transaction;
  if (transaction === undefined) throw new Error('the machine asked about a transaction that was never begun');
  return transaction;
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
