/** `acl` and `routing` → rules ready to be walked. */
import type { RuleDocument } from '../document.js';
import { joinPointer } from '../findings.js';
import type { Rule, RoutingRule } from '../program.js';
import type { DecisionReply, Verdict } from '../types.js';
import { parseDateEndMs, parseDurationMs } from '../values/units.js';
import { parseReply } from '../values/replies.js';
import { ACL_PHASES, PHASE_TABLE, type AclPhase } from '../vocabulary.js';
import { compileConditions } from './conditions.js';
import { compileGreylist, notPassed } from './greylist.js';
import type { CompileContext } from './context.js';
import type { Effects } from './effects.js';

export function compileAcl(
  context: CompileContext,
  effectsOf: (rule: RuleDocument, pointer: string) => Effects,
): Record<AclPhase, readonly Rule[]> {
  const compiled = ACL_PHASES.map((phase) => {
    const rules = context.document.acl?.[phase] ?? [];
    const base = `/acl/${phase}`;
    checkUnique(
      context,
      rules.map((rule) => rule.name),
      (index) => joinPointer(base, index, 'name'),
    );
    return [
      phase,
      rules.map((rule, index) => {
        const pointer = joinPointer(base, index);
        return { ...compileRule(context, phase, rule, pointer), ...effectsOf(rule, pointer) };
      }),
    ];
  });
  return Object.fromEntries(compiled) as Record<AclPhase, readonly Rule[]>;
}

/** Names must be unique where they make an id. */
export function checkUnique(
  context: CompileContext,
  names: readonly string[],
  pointerOf: (index: number) => string,
): void {
  const first = new Map<string, number>();
  for (const [index, name] of names.entries()) {
    const before = first.get(name);
    if (before === undefined) first.set(name, index);
    else
      context.findings.blocks(
        'D8',
        pointerOf(index),
        `name \`${name}\` is used twice, first by item ${String(before + 1)}, expected another name`,
      );
  }
}

/** As written; `greylist` is a way to defer. */
const VERDICTS = ['accept', 'reject', 'defer', 'greylist', 'hold', 'discard'] as const;

function verdictOf(written: (typeof VERDICTS)[number] | undefined): Verdict | undefined {
  return written === 'greylist' ? 'defer' : written;
}

function compileRule(
  context: CompileContext,
  phase: AclPhase,
  rule: RuleDocument,
  pointer: string,
): Omit<Rule, keyof Effects> {
  const verdict = verdictOf(VERDICTS.find((each) => rule[each] !== undefined));
  checkActs(context, rule, pointer);
  const reply = compileReply(context, phase, rule, pointer);
  const expiresAtMs = compileExpiry(context, rule.expires, pointer);
  const exception = verdict === 'reject' ? `an exception from the refusal \`${phase}/${rule.name}\`` : undefined;
  const refuses = verdict !== undefined && verdict !== 'accept';
  const when = compileConditions(
    context,
    rule.when,
    joinPointer(pointer, 'when'),
    exception === undefined ? {} : { negatedGrant: exception },
  );
  const greylist = compileGreylist(context, rule, pointer);
  return {
    id: `${phase}/${rule.name}`,
    when: greylist === undefined ? when : [...when, notPassed(joinPointer(pointer, 'greylist'))],
    unless: compileConditions(
      context,
      rule.unless,
      joinPointer(pointer, 'unless'),
      exception === undefined ? {} : { grant: exception },
    ),
    ...(verdict === undefined ? {} : { verdict }),
    ...(reply === undefined ? {} : { reply }),
    ...(greylist === undefined ? {} : { greylist }),
    tags: oneOrMany(rule.tag),
    delayMs: compileDelay(context, rule.delay, pointer),
    onUnknown: rule['on-unknown'] ?? (refuses ? 'defer' : 'skip'),
    monitor: rule.mode === 'monitor',
    ...(expiresAtMs === undefined ? {} : { expiresAtMs }),
    answer: rule.answer ?? (phase === 'helo' || phase === 'mail' ? 'at-rcpt' : 'now'),
    ...compileQueue(context, rule, pointer),
    pointer,
  };
}

export function oneOrMany(value: string | readonly string[] | undefined): readonly string[] {
  return value === undefined ? [] : typeof value === 'string' ? [value] : value;
}

const EFFECTS = [
  'delay',
  'tag',
  'set-header',
  'add-header',
  'remove-header',
  'add-recipient',
  'redirect',
] as const satisfies readonly (keyof RuleDocument)[];

/** A rule has at most one verdict, a verdict or an effect, and never accepts what nobody knows. */
function checkActs(context: CompileContext, rule: RuleDocument, pointer: string): void {
  const { findings } = context;
  const [verdict, second] = VERDICTS.filter((each) => rule[each] !== undefined);
  if (verdict !== undefined && second !== undefined) {
    const message = `rule \`${rule.name}\` has \`${verdict}\` and \`${second}\`, expected at most one verdict`;
    findings.blocks('D7', joinPointer(pointer, second), message);
  }
  if (verdict === undefined && context.complete && EFFECTS.every((effect) => rule[effect] === undefined)) {
    const message = `rule \`${rule.name}\` does nothing, expected a verdict (\`accept\`, \`reject\`, \`defer\`) or \`tag\``;
    findings.blocks('D7', pointer, message);
  }
  if (verdict === 'discard' && rule.reason === undefined) {
    const message = `rule \`${rule.name}\` loses mail without telling anybody, expected a \`reason\``;
    findings.blocks('D2', joinPointer(pointer, 'discard'), message);
  } else if (verdict === 'discard' && rule.mode === undefined) {
    const message = `rule \`${rule.name}\` loses mail without telling anybody: ${rule.reason ?? ''}`;
    findings.warns('P5', pointer, message);
  }
  if (verdict === 'accept' && rule['on-unknown'] === 'match') {
    const message = `rule \`${rule.name}\` would accept what nobody knows, expected \`defer\` or \`skip\``;
    findings.blocks('D7', joinPointer(pointer, 'on-unknown'), message);
  }
}

function compileReply(
  context: CompileContext,
  phase: AclPhase,
  rule: RuleDocument,
  pointer: string,
): DecisionReply | undefined {
  const verb = rule.reject === undefined ? 'defer' : 'reject';
  const text = rule[verb];
  if (text === undefined) return undefined;
  const { rejectCodes, deferCodes, placeholders } = PHASE_TABLE[phase];
  const codes = verb === 'reject' ? rejectCodes : deferCodes;
  const result = parseReply(text, { verb, placeholders, ...(codes === undefined ? {} : { codes }) });
  if (result.ok) return result.reply;
  context.findings.blocks('D3', joinPointer(pointer, verb), result.message, result.fix);
  return undefined;
}

/** The review queue of a `hold`. */
function compileQueue(context: CompileContext, rule: RuleDocument, pointer: string): { readonly queue?: string } {
  if (rule.hold === undefined) return {};
  context.requireName('review-queue', rule.hold, joinPointer(pointer, 'hold'));
  return { queue: rule.hold };
}

const LONGEST_DELAY_MS = 60_000;

function compileDelay(context: CompileContext, delay: string | undefined, pointer: string): number {
  const delayMs = delay === undefined ? 0 : (parseDurationMs(delay) ?? 0);
  if (delay !== undefined && (delayMs === 0 || delayMs > LONGEST_DELAY_MS)) {
    context.findings.blocks(
      'D3',
      joinPointer(pointer, 'delay'),
      `\`${delay}\` can not be waited for, expected more than nothing and at most \`1m\``,
    );
  }
  return delayMs;
}

export function compileExpiry(
  context: CompileContext,
  expires: string | undefined,
  pointer: string,
): number | undefined {
  if (expires === undefined) return undefined;
  const endMs = parseDateEndMs(expires);
  if (endMs === undefined) {
    context.findings.blocks(
      'D3',
      joinPointer(pointer, 'expires'),
      `\`${expires}\` is not a date of the calendar, expected such as \`2026-12-31\``,
    );
  }
  return endMs;
}

export function compileRouting(context: CompileContext): readonly RoutingRule[] {
  const rules = context.document.routing;
  checkUnique(
    context,
    rules.map((rule) => rule.name),
    (index) => joinPointer('/routing', index, 'name'),
  );
  const last = rules.at(-1);
  if (last !== undefined && (last.when !== undefined || last.unless !== undefined || last.expires !== undefined)) {
    const message = `the last routing rule \`${last.name}\` is not for everything, expected a default without \`when\`, \`unless\` and \`expires\``;
    context.findings.blocks('T1', joinPointer('/routing', rules.length - 1), message);
  }
  return rules.map((rule, index) => {
    const pointer = joinPointer('/routing', index);
    context.requireName('route', rule.route, joinPointer(pointer, 'route'), 'T1');
    const expiresAtMs = compileExpiry(context, rule.expires, pointer);
    return {
      id: `routing/${rule.name}`,
      when: compileConditions(context, rule.when, joinPointer(pointer, 'when')),
      unless: compileConditions(context, rule.unless, joinPointer(pointer, 'unless')),
      route: rule.route,
      ...(expiresAtMs === undefined ? {} : { expiresAtMs }),
      pointer,
    };
  });
}
