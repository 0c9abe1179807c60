import { createTwoFilesPatch } from 'diff';
import { policyChanges, readPolicy, type PolicyChange } from '#policy';

/** Beyond it texts are compared no longer: a diff of everything helps nobody. */
const TIMEOUT_MS = 1_000;
const CONTEXT_LINES = 3;

/** Unified diff; empty when the texts are the same. */
export function textDiff(before: { name: string; text: string }, after: { name: string; text: string }): string {
  if (before.text === after.text) return '';
  const options = { context: CONTEXT_LINES, timeout: TIMEOUT_MS };
  const diff = createTwoFilesPatch(before.name, after.name, before.text, after.text, undefined, undefined, options);
  return diff === undefined ? whole(before, after) : diff.replace(/^=+\n/u, '');
}

function whole(before: { name: string }, after: { name: string; text: string }): string {
  const lines = after.text.split('\n').length;
  return `--- ${before.name}\n+++ ${after.name}\nthe texts differ too much to be compared line by line; the new one has ${lines} lines\n`;
}

/** What changed, in terms of the policy; undefined where one of them cannot be read. */
export function semanticDiff(before: string, after: string): readonly PolicyChange[] | undefined {
  const [old, now] = [readPolicy(before), readPolicy(after)];
  return old.ok && now.ok ? policyChanges(old.document, now.document) : undefined;
}
