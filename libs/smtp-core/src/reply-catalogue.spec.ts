import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { REPLIES, encodeReply, renderReplyCatalogue, replyFor } from './index.js';
import type { ReplyKey } from './index.js';
import { PHASE_TABLE } from './phase-table.js';

const root = path.resolve(import.meta.dirname, '../../..');
const keys = Object.keys(REPLIES) as ReplyKey[];

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

  it('answers every command in every phase with something it has', () => {
    for (const row of Object.values(PHASE_TABLE)) {
      for (const cell of Object.values(row)) if (cell !== 'handle') expect(keys).toContain(cell);
    }
  });
});
