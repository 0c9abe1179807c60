/** docs/policy.md says what is so: its policies load, its tests pass, what it calls refused is, its tables are current. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { check, renderVocabulary } from '#policy';

const DOCS = readFileSync(join(import.meta.dirname, '../../docs/policy.md'), 'utf8');

interface Block {
  readonly info: string;
  readonly text: string;
}

const blocks: readonly Block[] = [...DOCS.matchAll(/^```yaml ?(.*)\n([\s\S]*?)^```$/gm)].map(
  ([, info = '', text = '']) => ({ info, text }),
);
const whole = parse(blocks[0]?.text ?? '') as Record<string, unknown>;

/** A fragment put into the whole: mappings are merged, lists come before what is there. */
function put(base: unknown, part: unknown): unknown {
  if (Array.isArray(base) && Array.isArray(part)) return [...(part as unknown[]), ...(base as unknown[])];
  if (typeof base !== 'object' || typeof part !== 'object' || base === null || part === null) return part;
  const merged: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(part)) merged[key] = key in merged ? put(merged[key], value) : value;
  return merged;
}

describe('docs/policy.md', () => {
  test('the whole policy loads', () => {
    expect(check(blocks[0]?.text ?? '').findings.filter(({ severity }) => severity !== 'info')).toEqual([]);
  });

  test.each(blocks.filter(({ info }) => info === 'fragment').map(({ text }) => [text.split('\n')[0] ?? '', text]))(
    'fragment %s loads',
    (_name, text) => {
      const { findings } = check(put(whole, parse(text)));
      expect(findings.filter(({ severity }) => severity !== 'info')).toEqual([]);
    },
  );

  test.each(
    blocks.filter(({ info }) => info.startsWith('refused')).map(({ info, text }) => [info.split(' ')[1] ?? '', text]),
  )('%s is found', (code, text) => {
    const { ok, findings } = check(put(whole, parse(text)));
    expect(ok).toBe(false);
    expect(findings.filter(({ severity }) => severity === 'blocks').map((finding) => finding.code)).toContain(code);
  });

  test('all yaml blocks are one of these', () => {
    expect(blocks.slice(1).filter(({ info }) => !/^(fragment|refused [A-Z]\d)$/.test(info))).toEqual([]);
    expect(blocks.length).toBeGreaterThan(6);
  });

  test('the vocabulary is the current one', () => {
    const generated = /<!-- generated: vocabulary -->\n([\s\S]*)<!-- end -->/.exec(DOCS)?.[1] ?? '';
    expect(unpadded(generated)).toBe(unpadded(renderVocabulary()));
  });
});

/** The formatter pads tables; what they say stays the same. */
function unpadded(markdown: string): string {
  return markdown
    .replace(/-{3,}/g, '---')
    .replace(/ *\| */g, '|')
    .trim();
}
