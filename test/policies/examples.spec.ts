/** Every example policy loads without a warning, its own tests and its cases hold, and its folder is complete. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { check, runTests } from '#policy';
import { readCases, runCase } from '../support/policy-cases.js';

const EXAMPLES = join(import.meta.dirname, '../../examples/policies');
const folders = readdirSync(EXAMPLES, { withFileTypes: true }).filter((entry) => entry.isDirectory());

describe.each(folders.map(({ name }) => name))('example %s', (name) => {
  const read = (file: string): string => readFileSync(join(EXAMPLES, name, file), 'utf8');
  const result = check(read('policy.yaml'));

  test('loads, and nothing but hints is said about it', () => {
    expect(result.findings.filter((finding) => finding.severity !== 'info')).toEqual([]);
    expect(result.ok).toBe(true);
  });

  test('every rule is reached by one of its tests, of which there are at least two', () => {
    expect(result.findings.filter((finding) => finding.code === 'V2').map(({ message }) => message)).toEqual([]);
    if (result.ok) expect(runTests(result.policy).length).toBeGreaterThanOrEqual(2);
  });

  test.each(readCases(read('cases.txt')).map((each) => [each.text, each] as const))('%s', (_text, each) => {
    if (!result.ok) throw new Error('the policy does not load');
    const { actual, explanation } = runCase(result.policy, each);
    expect({ ...actual, explanation }).toEqual({ ...each.expected, explanation });
  });

  test('has a README of at most ten lines', () => {
    expect(read('README.md').trim().split('\n').length).toBeLessThanOrEqual(10);
  });
});
