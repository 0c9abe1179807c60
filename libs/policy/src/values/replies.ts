/** Replies as written in rules: `550 5.7.1 Text`. RFC 5321 s4.2, RFC 3463. */
import type { DecisionReply } from '../types.js';

export type ReplyResult =
  | { readonly ok: true; readonly reply: DecisionReply }
  | { readonly ok: false; readonly message: string; readonly fix?: string };

const FORM = /^(\d{3}) (\d\.\d{1,3}\.\d{1,3}) (\S.*)$/;
const PLACEHOLDER = /\{([^{}]*)\}/g;
const MAX_REPLY_TEXT = 300;

export interface ReplyRules {
  readonly verb: 'reject' | 'defer';
  /** Codes that this phase may use; any of the verb's class when left out. */
  readonly codes?: readonly number[];
  /** Facts that the text may name. */
  readonly placeholders: readonly string[];
}

function codeFault(code: number, rules: ReplyRules): string | undefined {
  const reject = rules.verb === 'reject';
  if (Math.floor(code / 100) !== (reject ? 5 : 4)) {
    return `\`${String(code)}\` does not fit \`${rules.verb}\`, expected a code that begins with ${reject ? '5' : '4'}`;
  }
  if (rules.codes !== undefined && !rules.codes.includes(code)) {
    return `\`${String(code)}\` can not be answered in this phase, expected ${rules.codes.map(String).join(' or ')}`;
  }
  if (rules.codes === undefined && code === 421) {
    return '`421` closes the connection, expected 450 or 451 in this phase';
  }
  return code % 100 >= 60
    ? `\`${String(code)}\` is not an SMTP reply code, expected such as ${reject ? '550' : '451'}`
    : undefined;
}

export function parseReply(text: string, rules: ReplyRules): ReplyResult {
  const example = rules.verb === 'reject' ? '550 5.7.1 Text' : '451 4.7.1 Text';
  const match = FORM.exec(text);
  if (match === null) {
    return {
      ok: false,
      message: `\`${text}\` is not a reply, expected code, enhanced code and text such as \`${example}\``,
    };
  }
  const [, codeText = '', enhanced = '', words = ''] = match;
  const code = Number(codeText);
  const fault = codeFault(code, rules);
  if (fault !== undefined) return { ok: false, message: fault };
  if (!enhanced.startsWith(codeText.slice(0, 1))) {
    const fix = `${codeText.slice(0, 1)}${enhanced.slice(1)}`;
    return {
      ok: false,
      message: `\`${enhanced}\` contradicts \`${codeText}\`, expected \`${fix}\``,
      fix: `${codeText} ${fix} ${words}`,
    };
  }
  if (words.length > MAX_REPLY_TEXT || !/^[ -~]*$/.test(words)) {
    return {
      ok: false,
      message: `the reply text must be printable ASCII of at most ${String(MAX_REPLY_TEXT)} characters`,
    };
  }
  for (const [whole, name = ''] of words.matchAll(PLACEHOLDER)) {
    if (!rules.placeholders.includes(name)) {
      const allowed = rules.placeholders.map((known) => `\`{${known}}\``).join(', ');
      return { ok: false, message: `\`${whole}\` can not be used here, expected one of ${allowed}` };
    }
  }
  return { ok: true, reply: { code, enhanced, text: words } };
}

/** Puts facts into a text. What could break the reply line is replaced, and the whole is cut to a safe length. */
export function fillReply(reply: DecisionReply, facts: Readonly<Record<string, unknown>>): DecisionReply {
  if (!reply.text.includes('{')) return reply;
  const text = reply.text.replace(PLACEHOLDER, (whole, name: string) => {
    const value = facts[name];
    return typeof value === 'string' ? value.replace(/[^ -~]/g, '?').slice(0, 100) : whole;
  });
  return { ...reply, text: text.slice(0, MAX_REPLY_TEXT + 100) };
}
