/** `greylist: { delay, remember }` → its terms, and the condition under which it defers. */
import type { RuleDocument } from '../document.js';
import { joinPointer } from '../findings.js';
import type { Condition } from '../program.js';
import type { GreylistTerms } from '../types.js';
import { parseDurationMs } from '../values/units.js';
import { factNamed } from '../vocabulary.js';
import type { CompileContext } from './context.js';

/** RFC 6647 s5: no longer than a day; what waits longer is given up by some senders. */
const LONGEST_DELAY_MS = 86_400_000;
const LONGEST_MEMORY_MS = 366 * 86_400_000;

export function compileGreylist(
  context: CompileContext,
  rule: RuleDocument,
  pointer: string,
): GreylistTerms | undefined {
  const { greylist } = rule;
  if (greylist === undefined) return undefined;
  const delayMs = parseDurationMs(greylist.delay) ?? 0;
  const rememberMs = parseDurationMs(greylist.remember) ?? 0;
  const refuse = (key: 'delay' | 'remember', expected: string): void => {
    const message = `\`${greylist[key]}\` is out of range, expected ${expected}`;
    context.findings.blocks('D3', joinPointer(pointer, 'greylist', key), message);
  };
  if (delayMs < 1000 || delayMs > LONGEST_DELAY_MS) refuse('delay', '`1s` to `24h`');
  if (rememberMs > LONGEST_MEMORY_MS) refuse('remember', 'at most `366d`');
  else if (rememberMs <= delayMs) refuse('remember', `more than the delay of \`${greylist.delay}\``);
  return { delayMs, rememberMs };
}

/** Absent means new: who greylists and knows nothing defers. */
export function notPassed(pointer: string): Condition {
  const fact = factNamed('greylist');
  if (fact === undefined) throw new Error('the vocabulary has no fact `greylist`');
  const set = { kind: 'words' as const, words: new Set(['passed']) };
  return { fact, negated: true, every: false, none: false, set, text: 'greylist: { not: passed }', pointer };
}
