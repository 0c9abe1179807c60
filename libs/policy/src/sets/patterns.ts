/**
 * Regular expressions that can not run away: a linear-time engine, no back-references, no look-around. All patterns of
 * a list are one automaton.
 */
import { RE2JS, RE2Set } from 're2js';

const MAX_PATTERN_LENGTH = 500;
export const MAX_PATTERNS = 1000;
const MAX_SUBJECT_LENGTH = 2000;

/** What is wrong with a pattern, or undefined. */
export function patternFault(pattern: string): string | undefined {
  if (pattern.length > MAX_PATTERN_LENGTH) {
    return `pattern is longer than ${String(MAX_PATTERN_LENGTH)} characters`;
  }
  try {
    RE2JS.compile(pattern);
    return undefined;
  } catch (error) {
    const why =
      error instanceof Error ? error.message.replace(/^error parsing regexp: /, '') : 'it can not be compiled';
    return `\`${pattern}\` is not a pattern of the linear-time kind: ${why}`;
  }
}

export class PatternSet {
  private readonly automaton = new RE2Set(RE2Set.UNANCHORED);

  constructor(readonly patterns: readonly string[]) {
    for (const pattern of patterns) this.automaton.add(pattern);
    this.automaton.compile();
  }

  /** The first pattern found in the value. Longer values than any address or host name never match. */
  match(value: string): string | undefined {
    if (this.patterns.length === 0 || value.length > MAX_SUBJECT_LENGTH) return undefined;
    const found = this.automaton.match(value);
    return found.length === 0 ? undefined : this.patterns[Math.min(...found)];
  }
}
