/** Broken documents: each must raise exactly the findings of its faults.txt, `line:column code severity message`. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { check, type Finding } from '#policy';

const ROOT = join(import.meta.dirname, 'bad');

function print({ line, column, code, severity, message }: Finding): string {
  return `${String(line ?? 0)}:${String(column ?? 0)} ${code} ${severity} ${message}`;
}

describe('broken policies', () => {
  test.each(readdirSync(ROOT))('%s', (name) => {
    const result = check(readFileSync(join(ROOT, name, 'policy.yaml'), 'utf8'));
    const found = result.findings.filter((finding) => finding.severity !== 'info').map(print);
    expect(found).toEqual(
      readFileSync(join(ROOT, name, 'faults.txt'), 'utf8')
        .trim()
        .split('\n'),
    );
  });
});
