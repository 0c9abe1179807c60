/**
 * Who is talking to us: what the listener demands before anybody may send, the client, and what it may send as.
 *
 * INVARIANT (nobody by proxy): the address of a balancer is never a client. What a PROXY header did not name arrives with
 * it (health checks, other protocols), and would otherwise have its rights.
 */
import { allHold, unknownIn } from './conditions.js';
import { UNKNOWN_REPLY, type Outcome } from './decide.js';
import { grantCovers } from './grants.js';
import { isMember } from './members.js';
import { deferBuiltin, refuse, REPLIES } from './outcomes.js';
import type { Client, ListenerProgram, Members } from './program.js';
import type { Scope } from './scope.js';
import type { Snapshot } from './snapshot.js';
import { stepResult, traceStep, type ConditionStep } from './trace.js';
import { plainReason, senderReasons } from './trace-reasons.js';
import { NO, triOf, UNKNOWN, YES, type Tri } from './tri.js';

/** Whether the address may speak for others by the PROXY protocol on this listener. Unknown is no. */
export function isProxy(snapshot: Snapshot, listener: string, address: string): boolean {
  return speaksFor(snapshot, listenerNamed(snapshot, listener)?.proxies, address) === YES;
}

/** Whether XCLIENT is taken from the address on this listener. Unknown is no. */
export function mayXclient(snapshot: Snapshot, listener: string, address: string): boolean {
  return speaksFor(snapshot, listenerNamed(snapshot, listener)?.xclients, address) === YES;
}

function listenerNamed(snapshot: Snapshot, name: unknown): ListenerProgram | undefined {
  return typeof name === 'string' ? snapshot.policy.program.listeners.get(name) : undefined;
}

function speaksFor(snapshot: Snapshot, members: Members | undefined, address: unknown): Tri {
  return members === undefined || typeof address !== 'string' ? NO : isMember(snapshot, members, address, false);
}

/** What the listener demands before MAIL FROM. Answered at once: the client can still do it. */
export function prerequisite(scope: Scope): Outcome | undefined {
  const listener = listenerNamed(scope.snapshot, scope.facts['listener']);
  if (listener === undefined) return undefined;
  const missing = (fact: 'tls' | 'auth'): Tri => {
    const value = scope.read(fact);
    return typeof value === 'object' ? UNKNOWN : triOf(value === undefined || value === false);
  };
  if (listener.tlsRequired) {
    const refused = demand(scope, missing('tls'), 'tls');
    if (refused !== undefined) return refused;
  }
  return listener.authRequired ? demand(scope, missing('auth'), 'auth') : undefined;
}

function demand(scope: Scope, missing: Tri, fact: 'tls' | 'auth'): Outcome | undefined {
  const id = `builtin/${fact}-required`;
  const because = (): readonly ConditionStep[] =>
    plainReason(fact, fact === 'tls' ? 'tls: false' : 'auth: none', scope.read(fact), stepResult(missing));
  traceStep(scope, { stage: 'mail', id, result: missing, effect: missing === UNKNOWN ? 'defer' : 'reject', because });
  if (missing === NO) return undefined;
  if (missing === UNKNOWN) return deferBuiltin(id, fact, 'now');
  return refuse('reject', id, fact === 'tls' ? REPLIES.tlsRequired : REPLIES.authRequired, 'now');
}

/** The first client that is not false. An unknown one is never passed over for a wider one. */
export function determineClient(scope: Scope): void {
  if (isBalancer(scope)) return;
  for (const client of scope.snapshot.policy.program.clients) {
    const matches = allHold(scope, client.match);
    traceStep(scope, {
      stage: 'client',
      id: client.name,
      result: matches,
      effect: 'is the client',
      when: client.match,
    });
    if (matches === NO) continue;
    scope.client = matches === YES ? client.name : { unknown: `whether \`${client.name}\` matches is not known` };
    return;
  }
}

function isBalancer(scope: Scope): boolean {
  const { ip, listener } = scope.facts;
  const program = listenerNamed(scope.snapshot, listener);
  return speaksFor(scope.snapshot, program?.proxies, ip) !== NO;
}

export function clientUnknown(scope: Scope): Outcome {
  const unknown = scope.snapshot.policy.program.clients.find((client) => allHold(scope, client.match) !== NO);
  const why = unknown === undefined ? undefined : unknownIn(scope, unknown.match);
  const outcome = refuse('defer', `clients/${unknown?.name ?? 'none'}`, UNKNOWN_REPLY, 'at-rcpt');
  return why === undefined ? outcome : { ...outcome, unknown: why };
}

export function clientOf(scope: Scope): Client | undefined {
  const { client } = scope;
  return typeof client === 'string'
    ? scope.snapshot.policy.program.clients.find((each) => each.name === client)
    : undefined;
}

/** The null sender is always permitted: bounces must be able to go out. */
export function senderBinding(scope: Scope): Outcome | undefined {
  const senders = clientOf(scope)?.senders;
  const { sender } = scope.facts;
  if (senders === undefined || sender === '') return undefined;
  const allowed =
    typeof sender === 'string' ? grantCovers(scope, senders, sender) : sender === undefined ? NO : UNKNOWN;
  traceStep(scope, {
    stage: 'senders',
    id: 'builtin/sender-not-allowed',
    result: allowed,
    effect: 'sender is allowed',
    because: () => senderReasons(scope, clientOf(scope)?.name ?? '', senders),
  });
  if (allowed === YES) return undefined;
  return allowed === NO
    ? refuse('reject', 'builtin/sender-not-allowed', REPLIES.senderNotAllowed, 'at-rcpt')
    : deferBuiltin('builtin/sender-not-allowed', 'sender', 'at-rcpt');
}
