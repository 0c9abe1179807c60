import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from '@jest/globals';

const root = resolve(import.meta.dirname, '../..');

describe('package-lock.json', () => {
  const text = readFileSync(resolve(root, 'package-lock.json'), 'utf8');

  it('names no place to download from, so that any registry will do', () => {
    expect(text).not.toContain('"resolved"');
    expect(text).not.toContain('http://');
    expect(text.match(/https:\/\/[^"]*\.tgz/g)).toBeNull();
  });

  it('pins the packages that package.json asks for', () => {
    const { packages } = JSON.parse(text) as { packages: Record<string, Record<string, unknown>> };
    const asked = JSON.parse(readFileSync(resolve(root, 'package.json'), 'utf8')) as Record<string, unknown>;
    for (const kind of ['dependencies', 'devDependencies', 'optionalDependencies']) {
      expect(packages['']?.[kind]).toEqual(asked[kind]);
    }
  });
});
