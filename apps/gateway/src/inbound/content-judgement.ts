/**
 * After the final dot: facts of the content, message rules for each accepted recipient, one answer. What was decided
 * takes the place of what RCPT TO had said, so that the record tells what became of each recipient.
 */
import type { RecordedRecipient } from '#audit';
import { newId } from '#database';
import type { HeldForReview, RecipientToStore } from '#delivery';
import { previewOf } from '#mime';
import { judgeMessage, settleVerdicts, type Facts, type MessageOutcome, type RecipientDecision } from '#policy';
import { findingsAbout, outgoingChanges, signatureName } from '../relay/outgoing-changes.js';
import type { InboundTransaction } from './inbound-session.js';
import { refusal, replyText } from './replies.js';

/** Judges the content; recipients of the transaction are from then on as the answer left them. */
export function judgeContent(transaction: InboundTransaction, facts: Facts): MessageOutcome['refusal'] {
  const { snapshot } = transaction.policy;
  transaction.facts = { ...transaction.facts, ...facts };
  const asked = transaction.decisions.flatMap((decided, index) =>
    decided.verdict === 'accept' ? [{ decided, index }] : [],
  );
  const outcome = settleVerdicts(
    snapshot.policy.mixedVerdicts,
    asked.map(({ decided, index }) =>
      judgeMessage(snapshot, { facts: { ...transaction.facts, ...transaction.recipients[index]?.facts }, decided }),
    ),
  );
  for (const [position, { index }] of asked.entries()) {
    const decision = outcome.recipients[position];
    const recorded = transaction.recipients[index];
    if (decision === undefined || recorded === undefined) continue;
    transaction.decisions[index] = decision;
    transaction.recipients[index] = judged(transaction, recorded, decision);
  }
  return outcome.refusal;
}

function judged(
  transaction: InboundTransaction,
  recorded: RecordedRecipient,
  decision: RecipientDecision,
): RecordedRecipient {
  const { route: _route, signatures: _signatures, seal: _seal, ...before } = recorded;
  const { reply, instead, headers, reviewQueue, route, signatures, seal } = decision;
  return {
    ...before,
    address: decision.recipient,
    verdict: decision.verdict,
    by: decision.by,
    ...(reply !== undefined && { reply: replyText(refusal(decision, transaction.trace)) }),
    ...(route !== undefined && { route }),
    ...(reviewQueue !== undefined && { reviewQueue }),
    ...(headers !== undefined && { headers }),
    ...(signatures !== undefined && { signatures: signatures.map(signatureName) }),
    ...(seal !== undefined && { seal: signatureName(seal) }),
    ...(instead !== undefined && { instead: insteadOf(instead) }),
  };
}

function insteadOf({
  verdict,
  reply,
}: NonNullable<RecipientDecision['instead']>): NonNullable<RecordedRecipient['instead']> {
  return reply === undefined
    ? { verdict }
    : { verdict, reply: `${String(reply.code)} ${reply.enhanced} ${reply.text}` };
}

/**
 * Who is to be stored: accepted and held recipients, and those that rules added, which are put on record here. Empty when
 * all mail is discarded.
 */
export function recipientsToStore(
  transaction: InboundTransaction,
  head: () => Uint8Array,
  hostname: string,
): RecipientToStore[] {
  const findings = findingsAbout(transaction.policy.snapshot.policy, hostname, transaction.authentication);
  const stored: RecipientToStore[] = [];
  const added: RecordedRecipient[] = [];
  const held = new HeldMaker(transaction, head);
  for (const [index, recipient] of transaction.recipients.entries()) {
    const decision = transaction.decisions[index];
    if (decision === undefined || (recipient.verdict !== 'accept' && recipient.verdict !== 'hold')) continue;
    const { id, address, headers, parameters } = recipient;
    const { signatures, seal } = decision;
    const leaving = { headers, ...(signatures !== undefined && { signatures }), ...(seal !== undefined && { seal }) };
    const headerChanges = outgoingChanges(leaving, findings);
    stored.push({
      id,
      address,
      route: recipient.route ?? '',
      ...parameters,
      ...(headerChanges !== undefined && { headerChanges }),
      ...(recipient.verdict === 'hold' && { review: held.make(recipient) }),
    });
    for (const one of addedBy(decision, recipient)) {
      if (isRepeated(added, one)) continue;
      added.push(one);
      stored.push({
        id: one.id,
        address: one.address,
        route: one.route ?? '',
        // Nobody but the policy knows of them: their failure is nobody else's business.
        notify: ['NEVER'],
        ...(headerChanges !== undefined && { headerChanges }),
      });
    }
  }
  transaction.recipients.push(...added);
  return stored;
}

function addedBy(decision: RecipientDecision, { headers, signatures, seal }: RecordedRecipient): RecordedRecipient[] {
  return (decision.added ?? []).map(({ address, route, by }) => ({
    id: newId(),
    original: address,
    address,
    verdict: 'accept',
    by,
    reply: '',
    route,
    facts: {},
    addedBy: by,
    ...(headers !== undefined && { headers }),
    ...(signatures !== undefined && { signatures }),
    ...(seal !== undefined && { seal }),
  }));
}

function isRepeated(before: readonly RecordedRecipient[], one: RecordedRecipient): boolean {
  return before.some(({ address, route }) => address === one.address && route === one.route);
}

/** The preview is made once, and only for mail that is held. */
class HeldMaker {
  #preview: HeldForReview['preview'] | undefined;

  constructor(
    private readonly transaction: InboundTransaction,
    private readonly head: () => Uint8Array,
  ) {}

  make({ reviewQueue = 'mixed', by, instead }: RecordedRecipient): HeldForReview {
    this.#preview ??= previewOf(this.head());
    const { reviewQueues } = this.transaction.policy.snapshot.policy;
    const expireMs = reviewQueues.get(reviewQueue)?.expireMs ?? 0;
    const heldAtMs = Date.now();
    return {
      queue: reviewQueue,
      rule: by,
      heldAtMs,
      expiresAtMs: heldAtMs + expireMs,
      preview: this.#preview,
      ...(instead !== undefined && { instead: instead.reply ?? instead.verdict }),
    };
  }
}
