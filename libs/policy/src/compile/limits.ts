/** `limits` → limits that the gateway counts by. */
import type { LimitDocument } from '../document-limits.js';
import { joinPointer } from '../findings.js';
import type { LimitCount, LimitProfile, LimitTable } from '../limit-types.js';
import { nearest } from '../nearest.js';
import { parseDurationMs, parseSizeBytes } from '../values/units.js';
import { FACTS, factNamed, factsIn, type FactDefinition, type FactType } from '../vocabulary.js';
import type { CompileContext } from './context.js';
import { checkUnique } from './rules.js';

/** Facts of a key must be known when the count is looked at. */
const COUNT_PHASES: Readonly<Record<LimitCount, 'connect' | 'mail' | 'rcpt'>> = {
  connections: 'connect',
  'auth-failures': 'connect',
  messages: 'mail',
  bytes: 'mail',
  rejects: 'mail',
  recipients: 'rcpt',
};

export function countPhase(count: LimitCount): 'connect' | 'mail' | 'rcpt' {
  return COUNT_PHASES[count];
}

/** Of these, every value would have a count of its own. */
const UNCOUNTABLE: ReadonlySet<FactType> = new Set(['number', 'size', 'time']);

const LONGEST_MS = 31 * 86_400_000;
const SHORTEST_MS = 1_000;
const MOST_BYTES = 1e15;

export function compileLimitProfiles(context: CompileContext): readonly LimitProfile[] {
  const limits = context.document.limits ?? [];
  checkUnique(
    context,
    limits.map(({ name }) => name),
    (index) => joinPointer('/limits', index, 'name'),
  );
  return limits.map((limit, index) => compileLimit(context, limit, joinPointer('/limits', index)));
}

/** Undefined where there are none: then nobody looks. */
export function limitTable(limits: readonly LimitProfile[]): LimitTable | undefined {
  if (limits.length === 0) return undefined;
  const table = new Map<LimitCount, LimitProfile[]>();
  for (const limit of limits) table.set(limit.count, [...(table.get(limit.count) ?? []), limit]);
  return table;
}

function compileLimit(context: CompileContext, limit: LimitDocument, pointer: string): LimitProfile {
  for (const [index, fact] of limit.key.entries()) checkKey(context, limit, fact, joinPointer(pointer, 'key', index));
  if (limit.count === 'auth-failures') checkSignIn(context, joinPointer(pointer, 'count'));
  return {
    name: limit.name,
    key: limit.key,
    count: limit.count,
    max: compileMax(context, limit, joinPointer(pointer, 'max')),
    perMs: compilePer(context, limit.per, joinPointer(pointer, 'per')),
    onExceed: limit['on-exceed'],
  };
}

function checkKey(context: CompileContext, { key, count }: LimitDocument, name: string, pointer: string): void {
  const fact = factNamed(name);
  if (fact === undefined) {
    const guess = nearest(
      name,
      FACTS.map((each) => each.name),
    );
    const hint = guess === undefined ? '' : `, did you mean \`${guess}\`?`;
    context.findings.blocks('D4', pointer, `unknown fact \`${name}\`${hint}`, guess);
    return;
  }
  const fault =
    keyFault(fact, name, count) ?? (key.indexOf(name) < Number(pointer.split('/').at(-1)) ? TWICE : undefined);
  if (fault !== undefined) context.findings.blocks(fault.code, pointer, `fact \`${name}\` ${fault.message}`);
}

interface KeyFault {
  readonly code: string;
  readonly message: string;
}

const TWICE: KeyFault = { code: 'D8', message: 'is in the key twice, expected it once' };

function keyFault(fact: FactDefinition, name: string, count: LimitCount): KeyFault | undefined {
  if (fact.evidence === true) return { code: 'D6', message: 'can not be used in the key of a limit' };
  const phase = COUNT_PHASES[count];
  if (!factsIn(phase).some((each) => each.name === name)) {
    const known = `is not known where \`${count}\` are counted (phase \`${phase}\`)`;
    return { code: 'D6', message: `${known}, it is in phase \`${fact.phase}\`` };
  }
  if (!UNCOUNTABLE.has(fact.type)) return undefined;
  return { code: 'D7', message: 'says nothing about who it is, expected facts such as `ip`, `client` or `auth`' };
}

function checkSignIn(context: CompileContext, pointer: string): void {
  if (Object.values(context.document.listeners).some(({ auth }) => auth !== undefined)) return;
  const message = 'nobody can sign in: no listener has `auth`, expected one, or another count';
  context.findings.blocks('D7', pointer, message);
}

function compileMax(context: CompileContext, { count, max }: LimitDocument, pointer: string): number {
  if (typeof max === 'number') {
    if (count === 'bytes') {
      context.findings.blocks('D3', pointer, `\`${String(max)}\` has no unit, expected a size such as \`500MB\``);
    }
    return max;
  }
  const bytes = parseSizeBytes(max) ?? 0;
  if (count !== 'bytes') {
    context.findings.blocks('D3', pointer, `\`${max}\` is a size, expected a number: \`${count}\` are counted`);
  } else if (bytes < 1 || bytes > MOST_BYTES) {
    context.findings.blocks('D3', pointer, `\`${max}\` is out of range, expected \`1B\` to \`1000TB\``);
  }
  return bytes;
}

function compilePer(context: CompileContext, per: string, pointer: string): number {
  const perMs = parseDurationMs(per) ?? 0;
  if (perMs < SHORTEST_MS || perMs > LONGEST_MS) {
    context.findings.blocks('D3', pointer, `\`${per}\` is out of range, expected \`1s\` to \`31d\``);
  }
  return perMs;
}
