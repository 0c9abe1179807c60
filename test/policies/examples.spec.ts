/** Every example policy loads without a warning, its own tests and its cases hold, and its folder is complete. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { z } from 'zod';
import { check, policyJsonSchema, runTests } from '#policy';
import { readCases, runCase } from '../support/policy-cases.js';

const EXAMPLES = join(import.meta.dirname, '../../examples/policies');
const folders = readdirSync(EXAMPLES, { withFileTypes: true }).filter((entry) => entry.isDirectory());

test('the README lists every example, and no other', () => {
  const text = readFileSync(join(EXAMPLES, 'README.md'), 'utf8');
  const listed = [...text.matchAll(/^\| \[(.+?)\]\(\1\)/gmu)].map(([, name]) => name);
  expect(listed.sort()).toEqual(folders.map(({ name }) => name).sort());
  expect(listed.length).toBeGreaterThanOrEqual(12);
});

/** The JSON Schema itself is asked, not what it was made from. */
const schema = z.fromJSONSchema(policyJsonSchema());

describe.each(folders.map(({ name }) => name))('example %s', (name) => {
  const read = (file: string): string => readFileSync(join(EXAMPLES, name, file), 'utf8');
  const result = check(read('policy.yaml'));

  test('loads, and nothing but hints is said about it', () => {
    expect(result.findings.filter((finding) => finding.severity !== 'info')).toEqual([]);
    expect(result.ok).toBe(true);
  });

  test('is valid by the JSON Schema that editors use, and a misspelt key is not', () => {
    const document = parse(read('policy.yaml')) as Record<string, unknown>;
    expect(schema.safeParse(document).error?.issues ?? []).toEqual([]);
    expect(schema.safeParse({ ...document, listners: document['listeners'] }).success).toBe(false);
    expect(schema.safeParse({ ...document, routing: [{ name: 'rest', when: { ipp: 'x' }, route: 'x' }] }).success).toBe(
      false,
    );
  });

  test('tells editors where its schema is', () => {
    const [, path = ''] = /^# yaml-language-server: \$schema=(\S+)\n/.exec(read('policy.yaml')) ?? [];
    expect(JSON.parse(readFileSync(join(EXAMPLES, name, path), 'utf8'))).toHaveProperty('title', 'Postern policy');
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
