/** Answers about a transaction before its content: MAIL FROM and RCPT TO, and its end when it got no further. */
import { newId } from '#database';
import { traceOf } from '#audit';
import type { SpfCheck } from '#mail-auth';
import { ClassKeeper, judgeMail, judgeRecipient } from '#policy';
import type { Facts, FactValue, RecipientDecision } from '#policy';
import { printMailbox } from '#smtp-core';
import type {
  Answer,
  ForwardPath,
  MailParams,
  RcptParams,
  RefusedCommand,
  Reply,
  ReversePath,
  TransactionEnd as EndReason,
} from '#smtp-core';
import type { MaybePromise, ServerSession } from '#smtp-net';
import type { LimitGate } from '../limits/limit-gate.js';
import { mailAuthNeeds, spfFact } from '../mail-auth/mail-auth-facts.js';
import type { LivePolicy } from '../policy/policy-holder.js';
import { signatureName } from '../relay/outgoing-changes.js';
import type { AnswerDependencies } from './answer-dependencies.js';
import { countedOf, stateOf, transactionOf, type InboundTransaction } from './inbound-session.js';
import { noRoom, notNow, refusal, replyText, tooManyRefused } from './replies.js';
import { sessionFacts } from './session-facts.js';
import { decidingRule, transactionEvents, type TransactionEnd } from './transaction-record.js';
import { waitMs } from './wait.js';

export class EnvelopeAnswers {
  constructor(private readonly use: AnswerDependencies) {}

  mail(session: ServerSession, reversePath: ReversePath, parameters: MailParams): MaybePromise<Answer> {
    const inbound = stateOf(session);
    const id = newId();
    const policy = this.use.currentPolicy();
    if (policy === undefined || !this.use.canStore()) return { effect: 'refuse', reply: notNow(traceOf(id)) };
    // A large message goes to the spool: it needs no more memory than a small one.
    if (!this.use.budget.hasRoomFor(Math.min(parameters.sizeBytes ?? 0, this.use.inlineContentBytes))) {
      return { effect: 'refuse', reply: noRoom(traceOf(id)) };
    }
    const sender = reversePath.kind === 'null' ? '' : printMailbox(reversePath.mailbox);
    const domain = reversePath.kind === 'null' ? undefined : reversePath.mailbox.domain;
    const { neededFacts } = policy.snapshot.policy;
    inbound.lookUps.begin(neededFacts);
    const hasMx = domain !== undefined && neededFacts.mail.has(HAS_MX) ? this.use.dns.takesMail(domain) : undefined;
    const asksSpf = mailAuthNeeds(policy.snapshot.policy).spf;
    const spf = asksSpf === 'no' ? undefined : this.#checkSpf(session, sender);
    const begun = { id, policy, sender, parameters, spf };
    // From MAIL on, connect and helo are judged again: all their facts must be there.
    const settled = inbound.lookUps.settled(neededFacts.connect, neededFacts.helo, neededFacts.mail);
    if (hasMx === undefined && settled === undefined && asksSpf !== 'now') return this.#begin(session, begun, {});
    return Promise.all([hasMx, asksSpf === 'now' ? spf : undefined, settled]).then(([mx, check]) =>
      this.#begin(session, begun, {
        ...(mx !== undefined && { facts: { [HAS_MX]: mx } }),
        ...(check !== undefined && { spf: check }),
      }),
    );
  }

  #checkSpf(session: ServerSession, sender: string): Promise<SpfCheck> {
    const { clientAddress } = stateOf(session);
    return this.use.mailAuth.spf({ clientAddress, helo: session.helo ?? '', sender });
  }

  /** Everything is known: the transaction is judged, by the policy that was live when its facts were asked for. */
  #begin(session: ServerSession, begun: BegunTransaction, found: FoundOut): MaybePromise<Answer> {
    const inbound = stateOf(session);
    const { id, policy, sender, parameters } = begun;
    const trace = traceOf(id);
    const { spf } = found;
    const before = mailFacts(session, begun, { ...found.facts, ...(spf !== undefined && { spf: spfFact(spf) }) });
    const limited = this.use.limits.judge('mail', {
      snapshot: policy.snapshot,
      facts: before,
      judge: (known) => judgeMail(policy.snapshot, known),
      amounts: { bytes: parameters.sizeBytes ?? 1 },
    });
    const { decision } = limited;
    const facts = limited.exceeded ? { ...before, ...limited.facts } : before;
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
      refusedCommands: [],
      accepted: [],
      content: undefined,
      spf: begun.spf,
      authentication: spf === undefined ? undefined : { spf },
      signatures: undefined,
      scanner: undefined,
    };
    if (decision.verdict === 'accept' || decision.answer === 'at-rcpt') {
      inbound.transaction = transaction;
      if (decision.verdict === 'accept') limited.charge();
      return after(limited.delayMs, { effect: 'accept', trace });
    }
    const reply = refusal(decision, trace);
    inbound.refusals += 1;
    this.use.limits.refused(decision, { snapshot: policy.snapshot, facts, decision });
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

  rcpt(session: ServerSession, forwardPath: ForwardPath, parameters: RcptParams): MaybePromise<Answer> {
    const transaction = transactionOf(session);
    if (transaction.recipients.length - transaction.accepted.length >= MAX_REFUSED_RECIPIENTS) {
      return { effect: 'refuse', reply: tooManyRefused(transaction.trace), close: true };
    }
    const recipient = forwardPath.kind === 'postmaster' ? 'postmaster' : printMailbox(forwardPath.mailbox);
    const asked = { recipient, recipients: transaction.recipients.length + 1 };
    const decided = decideRecipient(this.use.limits, transaction, asked);
    const told = { session, transaction, forwardPath, parameters };
    if (decided.decision.greylist === undefined) return this.#answer(told, decided);
    return this.#recall(transaction, asked, decided).then((known) => this.#answer(told, known));
  }

  /** A rule greylists: what is remembered is one more fact. */
  async #recall(
    transaction: InboundTransaction,
    asked: AskedRecipient,
    { decision: { recipient, greylist } }: DecidedRecipient,
  ): Promise<DecidedRecipient> {
    const { ip } = transaction.facts;
    const who = { ip: typeof ip === 'string' ? ip : '', sender: transaction.sender, recipient };
    const state = greylist === undefined ? undefined : await this.use.greylist.recall(who, greylist);
    const known = state === undefined ? asked : { ...asked, greylist: state };
    return decideRecipient(this.use.limits, transaction, known);
  }

  #answer(
    { session, transaction, forwardPath, parameters }: ToldRecipient,
    { decision, facts: own, delayMs }: DecidedRecipient,
  ): MaybePromise<Answer> {
    const refused = decision.verdict === 'accept' ? undefined : refusal(decision, transaction.trace);
    const reply = refused ?? RECIPIENT_OK;
    transaction.recipients.push(recordRecipient(decision, own, reply, parameters));
    transaction.decisions.push(decision);
    if (refused === undefined) transaction.accepted.push(forwardPath);
    else {
      stateOf(session).refusals += 1;
      this.use.limits.refused(decision, countedOf(transaction));
    }
    return after(delayMs, refused === undefined ? { effect: 'accept', reply } : { effect: 'refuse', reply: refused });
  }

  /** Refused before it could be judged: it belongs to the transaction that is open, or else to the session. */
  notAsked(session: ServerSession, { line }: RefusedCommand, reply: Reply): void {
    const inbound = stateOf(session);
    inbound.refusals += 1;
    const { refusedCommands } = inbound.transaction ?? inbound;
    if (refusedCommands.length >= MAX_RECORDED_REFUSALS) return;
    const command = Buffer.from(line.slice(0, MAX_RECORDED_LINE), 'latin1').toString('utf8');
    refusedCommands.push({ command, reply: replyText(reply) });
  }

  ended(session: ServerSession, why: EndReason, reply?: Reply): void {
    const inbound = stateOf(session);
    const transaction = inbound.transaction;
    if (transaction === undefined) return;
    inbound.transaction = undefined;
    transaction.content?.abort();
    transaction.signatures?.abort();
    const last = reply === undefined ? transaction.recipients.at(-1)?.reply : replyText(reply);
    const end = { ...endOf(transaction, why), ...(last !== undefined && { reply: last }) };
    this.use.appendAudit(transactionEvents(session, inbound, transaction, end));
  }
}

const MAX_RECORDED_REFUSALS = 50;
const MAX_RECORDED_LINE = 512;
/** Of one transaction: every refused recipient is on record, so there has to be an end. Whoever gets here tries names. */
const MAX_REFUSED_RECIPIENTS = 1000;
const HAS_MX = 'sender.has-mx';

interface BegunTransaction {
  readonly id: string;
  readonly policy: LivePolicy;
  readonly sender: string;
  readonly parameters: MailParams;
  readonly spf: Promise<SpfCheck> | undefined;
}

/** What look-ups of MAIL said. */
interface FoundOut {
  readonly facts?: Facts;
  readonly spf?: SpfCheck;
}

/** What the session and MAIL say. */
function mailFacts(session: ServerSession, { sender, parameters }: BegunTransaction, found: Facts): Facts {
  const inbound = stateOf(session);
  const facts: Record<string, FactValue> = { ...inbound.facts };
  Object.assign(facts, inbound.lookUps.known, sessionFacts(session, inbound));
  facts['time'] = new Date().toISOString();
  facts['sender'] = sender;
  facts['smtputf8'] = parameters.smtpUtf8 === true;
  if (parameters.sizeBytes !== undefined) facts['size.declared'] = parameters.sizeBytes;
  return Object.assign(facts, found);
}

const RECIPIENT_OK: Reply = { code: 250, enhanced: '2.1.5', lines: ['Recipient OK'] };

/** What RCPT TO said, and where. */
interface ToldRecipient {
  readonly session: ServerSession;
  readonly transaction: InboundTransaction;
  readonly forwardPath: ForwardPath;
  readonly parameters: RcptParams;
}

type AskedRecipient = Facts & { readonly recipient: string; readonly recipients: number };

interface DecidedRecipient {
  readonly decision: RecipientDecision;
  /** Those of the recipient, with what limits said. */
  readonly facts: Facts;
  readonly delayMs: number;
}

function decideRecipient(limits: LimitGate, transaction: InboundTransaction, asked: AskedRecipient): DecidedRecipient {
  const { snapshot } = transaction.policy;
  if (snapshot.policy.limitProfiles.length === 0) {
    const facts = { ...transaction.facts, ...asked };
    const judged = judgeRecipient(snapshot, facts, transaction.decision);
    return { decision: admitted(transaction, facts, judged), facts: asked, delayMs: 0 };
  }
  const first = limits.ask('rcpt-first', countedOf(transaction));
  const known = first === undefined ? asked : { ...asked, ...first.facts };
  const limited = limits.judge('rcpt', {
    snapshot,
    facts: { ...transaction.facts, ...known },
    judge: (facts) => judgeRecipient(snapshot, facts, transaction.decision),
  });
  const facts = { ...known, ...limited.facts };
  const decision = admitted(transaction, { ...transaction.facts, ...facts }, limited.decision);
  if (decision.verdict !== 'accept') return { decision, facts, delayMs: 0 };
  limited.charge();
  return { decision, facts, delayMs: limited.delayMs + (first?.delayMs ?? 0) };
}

function admitted(transaction: InboundTransaction, facts: Facts, decision: RecipientDecision): RecipientDecision {
  const { snapshot } = transaction.policy;
  if (snapshot.policy.mixedVerdicts !== 'split') return decision;
  transaction.classes ??= new ClassKeeper(snapshot);
  return transaction.classes.admit(facts, decision);
}

function after(delayMs: number, answer: Answer): MaybePromise<Answer> {
  return delayMs === 0 ? answer : waitMs(delayMs).then(() => answer);
}

function recordRecipient(
  decision: RecipientDecision,
  facts: Facts,
  reply: Reply,
  parameters: RcptParams,
): InboundTransaction['recipients'][number] {
  return {
    id: newId(),
    original: decision.original,
    address: decision.recipient,
    verdict: decision.verdict,
    by: decision.by,
    reply: replyText(reply),
    ...(decision.route !== undefined && { route: decision.route }),
    ...(decision.signatures !== undefined && { signatures: decision.signatures.map(signatureName) }),
    ...(decision.seal !== undefined && { seal: signatureName(decision.seal) }),
    ...(decision.tags.length > 0 && { tags: decision.tags }),
    facts,
    ...(Object.keys(parameters).length > 0 && { parameters }),
  };
}

/** How a transaction that reached no acceptance is recorded: refused where we refused it, abandoned where the client left. */
function endOf(transaction: InboundTransaction, why: EndReason): Pick<TransactionEnd, 'kind' | 'by' | 'reason'> {
  if (why === 'content-refused') return { kind: 'transaction.refused', by: 'builtin/content', reason: why };
  if (why === 'fault') return { kind: 'transaction.refused', by: 'builtin/fault', reason: why };
  const refusedAll = transaction.recipients.length > 0 && transaction.accepted.length === 0;
  return refusedAll
    ? { kind: 'transaction.refused', by: decidingRule(transaction), reason: 'all-recipients-refused' }
    : { kind: 'transaction.abandoned', by: decidingRule(transaction), reason: why };
}
