import { describe, expect, it } from '@jest/globals';
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { REPLIES, encodeReply, renderPhaseTable, renderReplyCatalogue, replyFor } from './index.js';
import type { ReplyKey } from './index.js';
import { PHASE_TABLE } from './phase-table.js';

const root = path.resolve(import.meta.dirname, '../../..');
const keys = Object.keys(REPLIES) as ReplyKey[];

describe('the phase table', () => {
  it('is the page in docs, but for the width of its columns', () => {
    const narrow = (text: string): string => text.replace(/ +/g, ' ').replace(/-{3,}/g, '---');
    expect(narrow(readFileSync(path.join(root, 'docs/smtp-states.md'), 'utf8'))).toBe(narrow(renderPhaseTable()));
  });
});

describe('the reply catalogue', () => {
  it('is the page in docs, word for word', () => {
    expect(readFileSync(path.join(root, 'docs/replies.md'), 'utf8')).toBe(renderReplyCatalogue());
  });

  it.each(keys)('%s: the class of the enhanced code is the class of the code, except for 354', (key) => {
    const { code, enhanced } = replyFor(key);
    if (code === 354) expect(enhanced).toBeUndefined();
    else expect(enhanced?.[0]).toBe(String(code)[0]);
  });

  it('says nothing of ourselves that an attacker could use', () => {
    for (const key of keys) expect(encodeReply(replyFor(key))).not.toMatch(/postern|node|postgres|policy|rule/i);
  });

  it('has no reply that nobody says', () => {
    const sources = ['libs/smtp-core/src', 'libs/smtp-net/src'].flatMap((folder) =>
      readdirSync(path.join(root, folder))
        .filter((name) => /(?<!\.spec)\.ts$/.test(name) && name !== 'reply-catalogue.ts')
        .map((name) => readFileSync(path.join(root, folder, name), 'utf8')),
    );
    const text = sources.join('\n');
    expect(keys.filter((key) => !text.includes(`'${key}'`))).toEqual([]);
  });

  it('answers every command in every phase with something it has', () => {
    for (const row of Object.values(PHASE_TABLE)) {
      for (const cell of Object.values(row)) if (cell !== 'handle') expect(keys).toContain(cell);
    }
  });
});
