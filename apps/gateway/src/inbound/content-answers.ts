/**
 * Answers about the content of a message: DATA, and the end of content.
 *
 * It decides nothing itself: no room, database away, a loop are refused, all but the loop temporarily.
 */
import type { ContentSource } from '#delivery';
import { StructureScanner, type ScanReport } from '#mime';
import type { Facts } from '#policy';
import { receivedHeader } from '#smtp-core';
import type { Answer, Reply } from '#smtp-core';
import type { DataAnswer, MaybePromise, ServerSession } from '#smtp-net';
import { authenticate } from '../mail-auth/authenticate.js';
import { mailAuthNeeds } from '../mail-auth/mail-auth-facts.js';
import type { SenderWishes } from './accept-message.js';
import type { AnswerDependencies } from './answer-dependencies.js';
import { ContentBuffer, SpoolFailure, type ContentBufferOptions } from './content-buffer.js';
import { contentFacts } from './content-facts.js';
import { judgeContent, recipientsToStore } from './content-judgement.js';
import { countedOf, stateOf, transactionOf, type InboundSession, type InboundTransaction } from './inbound-session.js';
import { readMessageHeaders } from './message-headers.js';
import { accepted, noRoom, notNow, refusal, replyText, routingLoop } from './replies.js';
import { decidingRule, protocolOf, transactionEvents, type TransactionEnd } from './transaction-record.js';

/** RFC 5321 s6.3 asks for at least 100 hops to be allowed where loops are counted by Received fields. */
const MAX_RECEIVED = 100;

export class ContentAnswers {
  constructor(private readonly use: AnswerDependencies) {}

  data(session: ServerSession): DataAnswer {
    const inbound = stateOf(session);
    const transaction = transactionOf(session);
    if (!this.use.canStore()) return { effect: 'refuse', reply: notNow(transaction.trace) };
    if (!this.use.budget.hasRoomFor(this.use.inlineContentBytes)) {
      return { effect: 'refuse', reply: noRoom(transaction.trace) };
    }
    const { policy } = transaction.policy.snapshot;
    const { contentFacts: wanted } = policy;
    transaction.scanner =
      wanted === undefined ? undefined : new StructureScanner({ structure: asksAttachments(wanted) });
    transaction.signatures = mailAuthNeeds(policy).content ? this.use.mailAuth.content() : undefined;
    transaction.content = new ContentBuffer({
      id: transaction.id,
      bodies: this.use.bodies,
      inlineLimitBytes: this.use.inlineContentBytes,
      budget: this.use.budget,
      traceHeader: this.#traceHeader(session, inbound, transaction),
      ...observing(transaction),
    });
    return { effect: 'accept', sink: transaction.content };
  }

  message(session: ServerSession): MaybePromise<Answer> {
    const inbound = stateOf(session);
    const transaction = transactionOf(session);
    // The transaction is over, whatever the answer: transactionEnded has nothing left to record, save a fault of ours.
    inbound.transaction = undefined;
    const fault = (error: unknown): never => {
      inbound.transaction = transaction;
      throw error;
    };
    try {
      const answer = this.#judge(session, inbound, transaction);
      return answer instanceof Promise ? answer.catch(fault) : answer;
    } catch (error) {
      return fault(error);
    }
  }

  #judge(session: ServerSession, inbound: InboundSession, transaction: InboundTransaction): MaybePromise<Answer> {
    const content = transaction.content;
    if (content === undefined) throw new Error('end of content without content');
    // What was declared was counted at MAIL FROM.
    const undeclared = content.receivedBytes - (transaction.parameters.sizeBytes ?? 1);
    this.use.limits.count('bytes', countedOf(transaction), undeclared);
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
      transaction.signatures?.abort();
      this.#record(session, inbound, transaction, {
        kind: 'transaction.refused',
        by: 'builtin/loop',
        reply: replyText(reply),
        reason: 'loop',
        message,
      });
      return { effect: 'refuse', reply };
    }
    const report = transaction.scanner?.report();
    const judged: JudgedContent = { content, message, ...(report !== undefined && { report }) };
    const authenticated = authenticate(this.use.mailAuth, transaction, report);
    if (authenticated === undefined) return this.#answer(session, transaction, judged, {});
    return authenticated.then((facts) => this.#answer(session, transaction, judged, facts));
  }

  #answer(
    session: ServerSession,
    transaction: InboundTransaction,
    judged: JudgedContent,
    authFacts: Facts,
  ): MaybePromise<Answer> {
    const { content, message } = judged;
    const refused = refusedBy(transaction, judged, authFacts);
    if (refused === undefined) return this.#accept(session, transaction, content, message);
    content.abort();
    const { by, reply, verdict } = refused;
    this.use.limits.refused({ verdict, by }, countedOf(transaction));
    const end = {
      kind: 'transaction.refused' as const,
      by,
      reply: replyText(reply),
      reason: 'content-judged',
      message,
    };
    this.#record(session, stateOf(session), transaction, end);
    return { effect: 'refuse', reply };
  }

  async #accept(
    session: ServerSession,
    transaction: InboundTransaction,
    content: ContentBuffer,
    message: NonNullable<TransactionEnd['message']>,
  ): Promise<Answer> {
    const inbound = stateOf(session);
    const refused = await this.#store(session, transaction, content, message);
    if (transaction.recipients.every(({ verdict }) => verdict !== 'accept' && verdict !== 'hold')) content.abort();
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
    const recipients = recipientsToStore(transaction, () => content.head(), this.use.hostname);
    let source: ContentSource;
    try {
      // Discarded for everybody: the record is committed, the content goes.
      if (recipients.length === 0) source = NOTHING;
      else source = content.isInline ? { kind: 'inline', bytes: content.takeInline() } : await content.finish();
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
      ...wishesOf(transaction),
      recipients,
      events: transactionEvents(session, stateOf(session), transaction, {
        kind: 'transaction.accepted',
        by: decidingRule(transaction),
        reply: replyText(accepted(transaction.trace)),
        message,
      }),
    });
  }

  #traceHeader(session: ServerSession, inbound: InboundSession, transaction: InboundTransaction): Buffer {
    const only = transaction.accepted.length === 1 ? transaction.accepted[0] : undefined;
    const { rdns } = transaction.facts;
    const confirmed = Array.isArray(rdns) ? (rdns as readonly string[])[0] : undefined;
    const field = receivedHeader({
      helo: session.helo,
      address: inbound.clientAddress,
      hostname: this.use.hostname,
      protocol: protocolOf(session, transaction),
      ...(session.tls !== undefined && { tls: session.tls }),
      ...(confirmed !== undefined && { verifiedName: confirmed }),
      id: transaction.trace,
      atMs: Date.now(),
      ...(only?.kind === 'mailbox' && { recipient: only.mailbox }),
    });
    return Buffer.from(field, 'utf8');
  }

  #record(session: ServerSession, inbound: InboundSession, transaction: InboundTransaction, end: TransactionEnd): void {
    this.use.appendAudit(transactionEvents(session, inbound, transaction, end));
  }
}

/** What the sender asked about notices and about UTF-8 goes with the message. */
function wishesOf({ parameters: { ret, envelopeId, smtpUtf8 } }: InboundTransaction): SenderWishes {
  return {
    ...(ret !== undefined && { ret }),
    ...(envelopeId !== undefined && { envelopeId }),
    ...(smtpUtf8 === true && { smtpUtf8 }),
  };
}

const NOTHING: ContentSource = { kind: 'inline', bytes: new Uint8Array() };

function asksAttachments(wanted: ReadonlySet<string>): boolean {
  return [...wanted].some((name) => name.startsWith('attachment.'));
}

/** Whatever watches the content stream by. */
function observing({ scanner, signatures }: InboundTransaction): Pick<ContentBufferOptions, 'observer'> {
  if (signatures === undefined) return scanner === undefined ? {} : { observer: scanner };
  return {
    observer: {
      write: (chunk) => {
        scanner?.write(chunk);
        return signatures.write(chunk);
      },
    },
  };
}

interface JudgedContent {
  readonly content: ContentBuffer;
  readonly message: NonNullable<TransactionEnd['message']>;
  readonly report?: ScanReport;
}

/** What message rules refuse; undefined when they do not, or when there are none. */
function refusedBy(
  transaction: InboundTransaction,
  { content, report }: JudgedContent,
  authFacts: Facts,
): { readonly by: string; readonly verdict: 'reject' | 'defer'; readonly reply: Reply } | undefined {
  const { contentFacts: wanted } = transaction.policy.snapshot.policy;
  if (wanted === undefined || report === undefined) return undefined;
  const facts = contentFacts(wanted, { report, sizeBytes: content.receivedBytes });
  const refused = judgeContent(transaction, { ...facts, ...authFacts });
  if (refused === undefined) return undefined;
  return { by: refused.by, verdict: refused.verdict, reply: refusal(refused, transaction.trace) };
}
