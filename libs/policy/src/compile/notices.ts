/** `notices` → how the gateway tells senders. */
import { joinPointer } from '../findings.js';
import { NOTICE_KINDS, NOTICE_PLACEHOLDERS } from '../notice-types.js';
import type { NoticeKind, NoticePolicy, NoticeWords } from '../notice-types.js';
import { parseDurationMs } from '../values/units.js';
import type { CompileContext } from './context.js';

const DEFAULT_LIMIT = { max: 1000, perMs: 3_600_000 };
const LONGEST_PER_MS = 86_400_000;
const LONGEST_LINE = 200;
const PLACEHOLDER = /\{([^{}\s]*)\}/g;

export function compileNotices(context: CompileContext): NoticePolicy {
  const written = context.document.notices ?? {};
  const words: Partial<Record<NoticeKind, NoticeWords>> = {};
  for (const kind of NOTICE_KINDS) {
    const given = written[kind];
    if (given === undefined) continue;
    const at = joinPointer('/notices', kind);
    const { subject, text } = given;
    if (subject !== undefined) checkWords(context, subject, { at: joinPointer(at, 'subject'), lines: 1 });
    if (text !== undefined) checkWords(context, text, { at: joinPointer(at, 'text'), lines: 100 });
    words[kind] = { ...(subject !== undefined && { subject }), ...(text !== undefined && { text }) };
  }
  return { form: written.form ?? 'multipart', limit: compileLimit(context), words };
}

function compileLimit(context: CompileContext): NoticePolicy['limit'] {
  const limit = context.document.notices?.limit;
  if (limit === undefined) return DEFAULT_LIMIT;
  const perMs = parseDurationMs(limit.per) ?? 0;
  if (perMs < 1000 || perMs > LONGEST_PER_MS) {
    const message = `\`${limit.per}\` is not a time to count over, expected one from \`1s\` to \`1d\``;
    context.findings.blocks('D3', '/notices/limit/per', message);
  }
  return { max: limit.max, perMs: Math.max(1000, perMs) };
}

function checkWords(context: CompileContext, text: string, { at, lines }: { at: string; lines: number }): void {
  const found = text.trimEnd().split('\n');
  if (/[\u0000-\u0009\u000b-\u001f\u007f]/.test(text)) {
    context.findings.blocks('D3', at, 'a control character stands in the words of a notice, expected text');
  } else if (found.length > lines || found.some((line) => line.length > LONGEST_LINE)) {
    const expected = `${lines === 1 ? 'one line' : `at most ${String(lines)} lines`} of at most ${String(LONGEST_LINE)} characters`;
    context.findings.blocks('D3', at, `the words of a notice are too long, expected ${expected}`);
  }
  for (const [whole, name = ''] of text.matchAll(PLACEHOLDER)) {
    if ((NOTICE_PLACEHOLDERS as readonly string[]).includes(name)) continue;
    const expected = NOTICE_PLACEHOLDERS.map((known) => `\`{${known}}\``).join(' or ');
    context.findings.blocks('D3', at, `\`${whole}\` is not known in a notice, expected ${expected}`);
  }
}
