/**
 * The order of things: connect, helo, client, MAIL FROM, RCPT TO, routing. Total, synchronous, from facts and snapshot
 * alone.
 *
 * INVARIANT (one snapshot): everything about a transaction is judged again at MAIL FROM under the snapshot pinned there.
 */
import { runPhase, type Outcome } from './decide.js';
import { acceptedBy, grantCovers } from './grants.js';
import { clientOf, clientUnknown, determineClient, prerequisite, senderBinding } from './identify.js';
import { ACCEPTED, deferBuiltin, refuse, REPLIES } from './outcomes.js';
import { limitOutcome } from './limits.js';
import { NO_SUCH_RECIPIENT, placeAccepted, routeOutcome, type Placed } from './place.js';
import type { Rewriting } from './program.js';
import { Scope } from './scope.js';
import { withOwnSignatures } from './sign.js';
import type { Snapshot } from './snapshot.js';
import { traceStep, type ConditionStep } from './trace.js';
import { plainReason, relayReasons, rewritingReasons } from './trace-reasons.js';
import { NO, triOr, UNKNOWN, YES, type Tri } from './tri.js';
import type { Decision, Facts, RecipientDecision } from './types.js';
import { addressFault, isRelayingForm, splitAddress } from './values/addresses.js';

/** At connect. Facts: those of the phase. */
export function judgeConnect(snapshot: Snapshot, facts: Facts): Decision {
  const scope = new Scope(snapshot, facts);
  return decision(scope, connectOutcome(scope));
}

/** At EHLO and HELO. Facts: those of connect and helo. */
export function judgeHelo(snapshot: Snapshot, facts: Facts): Decision {
  const scope = new Scope(snapshot, facts);
  return decision(scope, heloOutcome(scope));
}

/** At MAIL FROM: connect and helo again, then who is talking, what it may send as, and the rules. */
export function judgeMail(snapshot: Snapshot, facts: Facts): Decision {
  return judgeMailIn(new Scope(snapshot, facts));
}

/** `judgeMail` in a scope that somebody looks into afterwards. */
export function judgeMailIn(scope: Scope): Decision {
  return decision(scope, mailOutcome(scope));
}

/**
 * At RCPT TO. Facts: all of the transaction, and the recipient's. `earlier` is what `judgeMail` said; left out, it is
 * made again from the facts. A remembered refusal of an earlier phase is the answer here.
 */
export function judgeRecipient(snapshot: Snapshot, facts: Facts, earlier?: Decision): RecipientDecision {
  const scope = new Scope(snapshot, facts);
  return judgeRecipientIn(scope, earlier ?? judgeMail(snapshot, facts));
}

/**
 * Where mail of our own making goes (a bounce to the sender of failed mail): rewriting, routing and signing, nothing else. The
 * right to send it is the gateway's own, so no client, rule or relay right is asked for; client facts are absent.
 */
export function judgeNotice(snapshot: Snapshot, facts: Facts): RecipientDecision {
  return judgeNoticeIn(new Scope(snapshot, facts));
}

/** `judgeNotice` in a scope that somebody looks into afterwards. */
export function judgeNoticeIn(scope: Scope): RecipientDecision {
  placePostmaster(scope);
  const address = typeof scope.recipient === 'string' ? scope.recipient : '';
  if (addressFault(address) !== undefined) {
    return recipientDecision(scope, refuse('reject', 'builtin/bad-recipient', REPLIES.badRecipient, 'now'));
  }
  rewrite(scope);
  return recipientDecision(scope, withOwnSignatures(scope, routeOutcome(scope, ACCEPTED)));
}

function decision(scope: Scope, outcome: Outcome): Decision {
  const decided = { ...outcome, client: clientName(scope), tags: scope.tags };
  return scope.delayMs > 0 ? { ...decided, delayMs: scope.delayMs } : decided;
}

function clientName({ client }: Scope): string {
  return typeof client === 'string' ? client : 'none';
}

function connectOutcome(scope: Scope): Outcome {
  const ruled = runPhase(scope, 'connect') ?? ACCEPTED;
  return ruled.verdict === 'accept' ? (limitOutcome(scope, 'connect') ?? ruled) : ruled;
}

function heloOutcome(scope: Scope): Outcome {
  const connect = connectOutcome(scope);
  if (connect.verdict !== 'accept') return connect;
  determineClient(scope);
  return runPhase(scope, 'helo') ?? connect;
}

function mailOutcome(scope: Scope): Outcome {
  const { sender } = scope.facts;
  if (typeof sender === 'string' && sender !== '' && addressFault(sender) !== undefined) {
    const because = (): readonly ConditionStep[] =>
      plainReason('sender', 'no address that mail can come from', sender, 'yes');
    traceStep(scope, { stage: 'mail', id: 'builtin/bad-sender', result: YES, effect: 'reject', because });
    return refuse('reject', 'builtin/bad-sender', REPLIES.badSender, 'now');
  }
  const refused = prerequisite(scope);
  if (refused !== undefined) return refused;
  const helo = heloOutcome(scope);
  if (helo.verdict !== 'accept') return helo;
  const client = scope.read('client');
  if (typeof client === 'object') return clientUnknown(scope);
  const bound = senderBinding(scope);
  if (bound !== undefined) return bound;
  const ruled = runPhase(scope, 'mail') ?? helo;
  return ruled.verdict === 'accept' ? (limitOutcome(scope, 'mail') ?? ruled) : ruled;
}

/** `judgeRecipient` in a scope that somebody looks into afterwards. */
export function judgeRecipientIn(scope: Scope, earlier: Decision): RecipientDecision {
  scope.client = earlier.client === 'none' ? undefined : earlier.client;
  scope.tags.push(...earlier.tags);
  placePostmaster(scope);
  return recipientDecision(scope, recipientOutcome(scope, earlier));
}

export function recipientDecision(scope: Scope, outcome: Placed): RecipientDecision {
  // One object for nearly everybody: it is made for every recipient of every message.
  const decided = {
    ...outcome,
    answer: 'now' as const,
    client: clientName(scope),
    tags: scope.tags,
    original: printed(scope.original),
    recipient: printed(scope.recipient),
  };
  if (scope.delayMs === 0 && outcome.added?.length !== 0) return decided;
  const { added = [], ...rest } = decided;
  const delay = scope.delayMs > 0 ? { delayMs: scope.delayMs } : {};
  return { ...rest, ...delay, ...(added.length === 0 ? {} : { added }) };
}

function printed(address: unknown): string {
  return typeof address === 'string' ? address : '';
}

/** Applies what comes before anything is asked about a recipient. For the analyser. */
export function placeRecipient(scope: Scope): void {
  placePostmaster(scope);
  rewrite(scope);
}

/** Bare `postmaster` (RFC 5321 s4.5.1) belongs to a domain of ours. */
function placePostmaster(scope: Scope): void {
  const { recipient } = scope;
  const domain = scope.snapshot.policy.program.postmasterDomain;
  if (typeof recipient !== 'string' || recipient.toLowerCase() !== 'postmaster') return;
  scope.recipient = domain === undefined ? recipient : `${recipient}@${domain}`;
  scope.original = scope.recipient;
}

function recipientOutcome(scope: Scope, earlier: Decision): Placed {
  const malformed = badRecipient(scope);
  if (malformed !== undefined) return malformed;
  if (earlier.verdict !== 'accept') return earlier;
  // Whoever is refused too much learns no more about who exists here.
  const silenced = limitOutcome(scope, 'rcpt-first');
  if (silenced !== undefined) return silenced;
  const rewritten = rewrite(scope);
  const refused = relayOutcome(scope, rewritten?.external === true);
  if (refused !== undefined) return refused;
  const ruled = runPhase(scope, 'rcpt');
  if (ruled !== undefined && ruled.verdict !== 'accept') return ruled;
  const placed = placeAccepted(scope, ruled ?? { verdict: 'accept', by: earlier.by, answer: 'now' });
  return placed.verdict === 'accept' ? (limitOutcome(scope, 'rcpt') ?? placed) : placed;
}

function badRecipient(scope: Scope): Outcome | undefined {
  const { recipient } = scope;
  if (recipient !== undefined && typeof recipient !== 'string') return undefined;
  const address = recipient ?? '';
  if (address.toLowerCase() === 'postmaster') {
    return refuse('reject', 'builtin/no-such-recipient', NO_SUCH_RECIPIENT, 'now');
  }
  const faulty = addressFault(address) !== undefined || isRelayingForm(splitAddress(address)?.local ?? '');
  if (faulty) {
    const because = (): readonly ConditionStep[] =>
      plainReason('recipient', 'no address that mail can go to', address, 'yes');
    traceStep(scope, { stage: 'rcpt', id: 'builtin/bad-recipient', result: YES, effect: 'reject', because });
  }
  return faulty ? refuse('reject', 'builtin/bad-recipient', REPLIES.badRecipient, 'now') : undefined;
}

/** Single pass, first match only. */
function rewrite(scope: Scope): Rewriting | undefined {
  const { recipient } = scope;
  const parts = typeof recipient === 'string' ? splitAddress(recipient) : undefined;
  if (parts === undefined) return undefined;
  const local = parts.local.toLowerCase();
  const domain = parts.domain.toLowerCase();
  const entry = scope.snapshot.policy.program.rewriting.find(
    (each) => each.fromDomain === domain && (each.fromLocal === '*' || each.fromLocal === local),
  );
  if (entry === undefined) return undefined;
  const target = `${entry.toLocal === '{local}' ? parts.local : entry.toLocal}@${entry.toDomain}`;
  const because = (): readonly ConditionStep[] => rewritingReasons(`${parts.local}@${parts.domain}`, entry);
  traceStep(scope, { stage: 'rewriting', id: entry.id, result: YES, effect: `recipient becomes ${target}`, because });
  scope.recipient = target;
  return entry;
}

/** Relay authorisation. There is no setting that changes its default. */
function relayOutcome(scope: Scope, forwarded: boolean): Outcome | undefined {
  const allowed = mayRelay(scope, forwarded);
  const because = (): readonly ConditionStep[] => (forwarded ? [] : relayReasons(scope));
  traceStep(scope, { stage: 'relay', id: 'builtin/relay-denied', result: allowed, effect: 'may be relayed', because });
  if (allowed === YES) return undefined;
  return allowed === NO
    ? refuse('reject', 'builtin/relay-denied', REPLIES.relayDenied, 'now')
    : deferBuiltin('builtin/relay-denied', 'recipient.domain', 'now');
}

function mayRelay(scope: Scope, forwarded: boolean): Tri {
  if (forwarded) return YES;
  const { recipient } = scope;
  if (typeof recipient !== 'string') return UNKNOWN;
  const domain = splitAddress(recipient)?.domain.toLowerCase();
  if (domain === undefined) return NO;
  const ours = acceptedBy(scope, domain).covered;
  const relay = clientOf(scope)?.relay;
  if (ours === YES || relay === 'anywhere') return YES;
  return relay === undefined ? ours : triOr(ours, grantCovers(scope, relay, recipient));
}
