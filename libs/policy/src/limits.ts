/**
 * Limits: who counts together, and what an exceeded limit answers. The counting is the gateway's; here the state of a
 * limit is a fact, `limit.<name>: exceeded`, so that a recorded decision can be made again.
 */
import { type Outcome } from './decide.js';
import { deferBuiltin, refuse } from './outcomes.js';
import { LIMIT_PREFIX } from './limit-facts.js';
import type { LimitCount, LimitKey, LimitProfile } from './limit-types.js';
import { Scope } from './scope.js';
import type { Snapshot } from './snapshot.js';
import { traceStep, type ConditionStep } from './trace.js';
import { limitReasons } from './trace-reasons.js';
import { NO, UNKNOWN, YES } from './tri.js';
import type { Decision, DecisionReply, Facts, FactValue, RecipientDecision } from './types.js';
import { parseIp } from './values/networks.js';

/** What `on-exceed: slow` adds to the answer to one command. */
export const LIMIT_SLOW_MS = 5_000;

/** Where limits are looked at; `rcpt-first` before anything is said about a recipient. */
export type LimitStage = 'connect' | 'mail' | 'rcpt-first' | 'rcpt';

/** What is counted, by the place where it is looked at. */
export const LIMIT_STAGES: Readonly<Record<LimitStage, readonly LimitCount[]>> = {
  connect: ['connections', 'auth-failures'],
  mail: ['messages', 'bytes'],
  'rcpt-first': ['rejects'],
  rcpt: ['recipients'],
};

const CODES: Readonly<Record<LimitStage, Readonly<Record<'defer' | 'reject', number>>>> = {
  connect: { defer: 421, reject: 554 },
  mail: { defer: 451, reject: 550 },
  'rcpt-first': { defer: 450, reject: 550 },
  rcpt: { defer: 450, reject: 550 },
};

const TEXTS: Readonly<Record<LimitCount, string>> = {
  connections: 'Too many connections',
  messages: 'Too many messages',
  recipients: 'Too many recipients',
  bytes: 'Too much mail',
  rejects: 'Too much was refused',
  'auth-failures': 'Too many failed sign-ins',
};

/** The answer where a limit is exceeded; undefined where none is, or where it only slows down. */
export function limitOutcome(scope: Scope, stage: LimitStage): Outcome | undefined {
  const { limits } = scope.snapshot.policy.program;
  if (limits === undefined) return undefined;
  for (const count of LIMIT_STAGES[stage]) {
    for (const limit of limits.get(count) ?? []) {
      const outcome = oneOutcome(scope, stage, limit);
      if (outcome !== undefined) return outcome;
    }
  }
  return undefined;
}

function oneOutcome(scope: Scope, stage: LimitStage, limit: LimitProfile): Outcome | undefined {
  const fact = LIMIT_PREFIX + limit.name;
  const state = scope.facts[fact];
  const id = `builtin/limit-${limit.name}`;
  const result = state === undefined ? NO : typeof state === 'object' ? UNKNOWN : YES;
  const verb = limit.onExceed === 'slow' ? `answered ${String(LIMIT_SLOW_MS / 1000)}s later` : limit.onExceed;
  const effect = result === UNKNOWN ? 'defer' : verb;
  const because = (): readonly ConditionStep[] => limitReasons(scope, limit);
  traceStep(scope, { stage: stage === 'rcpt-first' ? 'rcpt' : stage, id, result, effect, because });
  if (result === NO) return undefined;
  if (result === UNKNOWN) return deferBuiltin(id, fact, 'now');
  if (limit.onExceed === 'slow') return undefined;
  return refuse(limit.onExceed, id, replyOf(stage, limit.count, limit.onExceed), 'now');
}

function replyOf(stage: LimitStage, count: LimitCount, verb: 'defer' | 'reject'): DecisionReply {
  const text = TEXTS[count];
  return verb === 'defer'
    ? { code: CODES[stage].defer, enhanced: '4.7.1', text: `${text}, try again later` }
    : { code: CODES[stage].reject, enhanced: '5.7.1', text };
}

/**
 * The limits on this count that apply, each with the key under which it counts. A limit applies where every fact of its
 * key is there; one that is unknown is a value like any other. `decided`: what was said so far of who is talking.
 */
export function limitKeys(
  snapshot: Snapshot,
  counts: readonly LimitCount[],
  facts: Facts,
  decided: Decision | RecipientDecision,
): readonly LimitKey[] {
  const { limits } = snapshot.policy.program;
  if (limits === undefined) return [];
  const scope = new Scope(snapshot, facts);
  scope.client = decided.client === 'none' ? undefined : decided.client;
  scope.tags.push(...decided.tags);
  if ('recipient' in decided) {
    scope.recipient = decided.recipient;
    scope.original = decided.original;
  }
  return counts.flatMap((count) => (limits.get(count) ?? []).flatMap((limit) => keyOf(scope, limit) ?? []));
}

function keyOf(scope: Scope, limit: LimitProfile): LimitKey | undefined {
  const values: string[] = [];
  for (const fact of limit.key) {
    const value = scope.read(fact);
    if (value === undefined || value === '' || (Array.isArray(value) && value.length === 0)) return undefined;
    values.push(fact === 'ip' && typeof value === 'string' ? networkOf(value) : printed(value));
  }
  return { limit, key: values.join('\u0000') };
}

function printed(value: FactValue): string {
  if (Array.isArray(value))
    return [...(value as readonly (string | number)[])].map(String).sort().join(',').toLowerCase();
  return typeof value === 'object' ? '\u0001unknown' : String(value).toLowerCase();
}

/** An IPv6 address counts with its /64: whoever has one has them all. */
function networkOf(address: string): string {
  const ip = parseIp(address);
  return ip?.version === 6 ? `${(ip.bits >> 64n).toString(16)}/64` : address;
}
