/** Answers about a transaction before its content: MAIL FROM and RCPT TO, and its end when it got no further. */
import { newId } from '#database';
import { traceOf } from '#audit';
import { ClassKeeper, judgeMail, judgeRecipient, type Facts, type RecipientDecision } from '#policy';
import { printMailbox } from '#smtp-core';
import type { Answer, ForwardPath, MailParams, Reply, ReversePath, TransactionEnd as EndReason } from '#smtp-core';
import type { ServerSession } from '#smtp-net';
import type { AnswerDependencies } from './answer-dependencies.js';
import { stateOf, transactionOf, type InboundTransaction } from './inbound-session.js';
import { noRoom, notNow, refusal, replyText } from './replies.js';
import { decidingRule, transactionEvents, type TransactionEnd } from './transaction-record.js';

export class EnvelopeAnswers {
  constructor(private readonly use: AnswerDependencies) {}

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
      decisions: [],
      classes: undefined,
      accepted: [],
      content: undefined,
      scanner: undefined,
    };
    if (decision.verdict === 'accept' || decision.answer === 'at-rcpt') {
      inbound.transaction = transaction;
      return { effect: 'accept' };
    }
    const reply = refusal(decision, trace);
    this.use.appendAudit(
      transactionEvents(session, inbound, transaction, {
        kind: 'transaction.refused',
        by: decision.by,
        reply: replyText(reply),
        reason: 'sender-refused',
      }),
    );
    return { effect: 'refuse', reply };
  }

  rcpt(session: ServerSession, forwardPath: ForwardPath): Answer {
    const transaction = transactionOf(session);
    const recipient = forwardPath.kind === 'postmaster' ? 'postmaster' : printMailbox(forwardPath.mailbox);
    const own: Facts = { recipient, recipients: transaction.recipients.length + 1 };
    const decision = decideRecipient(transaction, own);
    const refused = decision.verdict === 'accept' ? undefined : refusal(decision, transaction.trace);
    const reply = refused ?? RECIPIENT_OK;
    transaction.recipients.push(recordRecipient(decision, own, reply));
    transaction.decisions.push(decision);
    if (refused === undefined) transaction.accepted.push(forwardPath);
    return refused === undefined ? { effect: 'accept', reply } : { effect: 'refuse', reply: refused };
  }

  ended(session: ServerSession, why: EndReason, reply?: Reply): void {
    const inbound = stateOf(session);
    const transaction = inbound.transaction;
    if (transaction === undefined) return;
    inbound.transaction = undefined;
    transaction.content?.abort();
    const last = reply === undefined ? transaction.recipients.at(-1)?.reply : replyText(reply);
    const end = { ...endOf(transaction, why), ...(last !== undefined && { reply: last }) };
    this.use.appendAudit(transactionEvents(session, inbound, transaction, end));
  }
}

const RECIPIENT_OK: Reply = { code: 250, enhanced: '2.1.5', lines: ['Recipient OK'] };

function decideRecipient(transaction: InboundTransaction, own: Facts): RecipientDecision {
  const { snapshot } = transaction.policy;
  const facts = { ...transaction.facts, ...own };
  const decision = judgeRecipient(snapshot, facts, transaction.decision);
  if (snapshot.policy.mixedVerdicts !== 'split') return decision;
  transaction.classes ??= new ClassKeeper(snapshot);
  return transaction.classes.admit(facts, decision);
}

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
    ...(decision.tags.length > 0 && { tags: decision.tags }),
    facts,
  };
}

/** How a transaction that reached no acceptance is recorded: refused where we refused it, abandoned where the client left. */
function endOf(transaction: InboundTransaction, why: EndReason): Pick<TransactionEnd, 'kind' | 'by' | 'reason'> {
  if (why === 'content-refused') return { kind: 'transaction.refused', by: 'builtin/content', reason: why };
  const refusedAll = transaction.recipients.length > 0 && transaction.accepted.length === 0;
  return refusedAll
    ? { kind: 'transaction.refused', by: decidingRule(transaction), reason: 'all-recipients-refused' }
    : { kind: 'transaction.abandoned', by: decidingRule(transaction), reason: why };
}
