/**
 * Transcripts: SMTP dialogs as text, and what they say. The players are in `transcript-players.ts`.
 *
 *   # Title, and the RFC section it shows.          @ after ehlo | helo | mail | rcpt | data   begins there
 *   S: 250 2.1.0 Sender OK                          @ limits maxRecipients=2 maxErrors=1
 *   C: MAIL FROM:<a@client.test>                    C> "raw octets\n" * 3
 *   ? mail a@client.test -> refuse 550 5.7.1 No     ~ eof | lost | timeout | shutdown
 *   = closed quit | content "…" | accepted 2 recipients | ended reset | open
 *
 * Client lines up to the next `S:`, `~` or `=` are one group: what a client may have in flight. `{id}` in a server line
 * stands for any token. A question without a `?` line is accepted; every `?` line must have been asked, in order.
 */
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { DEFAULT_LIMITS } from '#smtp-core';
import type { Answer, Question, SmtpLimits } from '#smtp-core';
import { printMailbox } from '#smtp-core';

export type Step =
  | { readonly kind: 'send'; readonly line: number; readonly octets: Buffer }
  | { readonly kind: 'expect'; readonly line: number; readonly text: string }
  | { readonly kind: 'event'; readonly line: number; readonly event: 'eof' | 'lost' | 'timeout' | 'shutdown' }
  | { readonly kind: 'check'; readonly line: number; readonly what: string };

export interface ScriptedAnswer {
  readonly line: number;
  readonly question: string;
  readonly answer: Answer;
}

export interface Transcript {
  readonly file: string;
  readonly title: string;
  readonly steps: readonly Step[];
  readonly answers: readonly ScriptedAnswer[];
  readonly limits: Partial<SmtpLimits>;
  /** Every `@` line, for players that need more than the machine, such as `policy`. */
  readonly directives: ReadonlyMap<string, string>;
}

const PRESETS = ['helo', 'ehlo', 'mail', 'rcpt', 'data'] as const;
const EVENTS = ['eof', 'lost', 'timeout', 'shutdown'] as const;

/** All `*.smtp` below a folder, parsed. */
export function readTranscripts(folder: string): readonly Transcript[] {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.smtp'));
  return files.sort().map((name) => parseTranscript(readFileSync(path.join(folder, name), 'utf8'), name));
}

/** Throws with file and line when the text does not follow the grammar. */
function parseTranscript(text: string, file: string): Transcript {
  const steps: Step[] = [];
  const answers: ScriptedAnswer[] = [];
  const directives = new Map<string, string>();
  const comments: string[] = [];
  for (const [index, raw] of text.split('\n').entries()) {
    const line = index + 1;
    const mark = raw.slice(0, 2);
    const rest = raw.slice(3);
    if (raw.trim() === '') continue;
    else if (raw.startsWith('#')) comments.push(raw.slice(1).trim());
    else if (raw.startsWith('@ ')) addDirective(directives, raw.slice(2));
    else if (mark === 'S:') steps.push({ kind: 'expect', line, text: rest });
    else if (mark === 'C:') steps.push({ kind: 'send', line, octets: Buffer.from(`${rest}\r\n`, 'utf8') });
    else if (mark === 'C>') steps.push({ kind: 'send', line, octets: readOctets(rest, file, line) });
    else if (raw.startsWith('? ')) answers.push(readAnswer(raw.slice(2), file, line));
    else if (raw.startsWith('~ ')) steps.push({ kind: 'event', line, event: readEvent(raw.slice(2), file, line) });
    else if (raw.startsWith('= ')) steps.push({ kind: 'check', line, what: raw.slice(2) });
    else throw new Error(`${file}:${String(line)}: \`${raw}\` begins with no known mark`);
  }
  const limits = readLimits(directives.get('limits') ?? '', file);
  return {
    file,
    title: comments.join(' '),
    steps: [...presetSteps(directives.get('after'), limits, file), ...steps],
    answers,
    limits,
    directives,
  };
}

/** `mail a@client.test`, `rcpt postmaster`, `helo client.test`, `message 120`: a question as transcripts write it. */
export function printQuestion(question: Question): string {
  switch (question.kind) {
    case 'connect':
    case 'data':
      return question.kind;
    case 'helo':
      return `helo ${question.domain}`;
    case 'mail': {
      const { sizeBytes, body } = question.params;
      const sender = question.reversePath.kind === 'null' ? '<>' : printMailbox(question.reversePath.mailbox);
      const size = sizeBytes === undefined ? '' : ` SIZE=${String(sizeBytes)}`;
      return `mail ${sender}${size}${body === undefined ? '' : ` BODY=${body}`}`;
    }
    case 'rcpt':
      return `rcpt ${question.forwardPath.kind === 'postmaster' ? 'postmaster' : printMailbox(question.forwardPath.mailbox)}`;
    case 'auth':
    case 'xclient':
      return question.kind;
    case 'message':
      return `message ${String(question.sizeBytes)}`;
  }
}

function addDirective(directives: Map<string, string>, text: string): void {
  const space = text.indexOf(' ');
  directives.set(space < 0 ? text : text.slice(0, space), space < 0 ? '' : text.slice(space + 1));
}

function readAnswer(text: string, file: string, line: number): ScriptedAnswer {
  const match = /^(.+?) -> (accept|refuse)(?: (\d{3})(?: (\d\.\d{1,3}\.\d{1,3}))? (.+?))?( and close)?$/.exec(text);
  if (match === null) throw new Error(`${file}:${String(line)}: expected \`question -> accept|refuse [reply]\``);
  const [, question = '', effect, code, enhanced, words = '', close] = match;
  const reply =
    code === undefined
      ? undefined
      : { code: Number(code), lines: [words], ...(enhanced === undefined ? {} : { enhanced }) };
  if (effect === 'accept') return { line, question, answer: reply ? { effect, reply } : { effect } };
  if (reply === undefined) throw new Error(`${file}:${String(line)}: a refusal needs its reply`);
  return { line, question, answer: { effect: 'refuse', reply, close: close !== undefined } };
}

function readOctets(text: string, file: string, line: number): Buffer {
  const match = /^"((?:[^"\\]|\\.)*)"(?: \* (\d+))?$/.exec(text);
  if (match === null) throw new Error(`${file}:${String(line)}: expected \`"octets"\` or \`"octets" * times\``);
  return Buffer.from(unescapeOctets(match[1] ?? '').repeat(Number(match[2] ?? '1')), 'latin1');
}

/** `\r \n \t \0 \" \\ \xHH` */
export function unescapeOctets(text: string): string {
  return text.replace(/\\(?:x([0-9a-fA-F]{2})|(.))/g, (_, hex: string | undefined, char: string | undefined) => {
    if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16));
    return { r: '\r', n: '\n', t: '\t', '0': '\0' }[char ?? ''] ?? char ?? '';
  });
}

function readEvent(text: string, file: string, line: number): (typeof EVENTS)[number] {
  const event = EVENTS.find((name) => name === text.trim());
  if (event === undefined) throw new Error(`${file}:${String(line)}: expected one of ${EVENTS.join(', ')}`);
  return event;
}

function readLimits(text: string, file: string): Partial<SmtpLimits> {
  const limits: Record<string, number> = {};
  for (const word of text.split(' ').filter((part) => part !== '')) {
    const [name = '', value] = word.split('=');
    if (!(name in DEFAULT_LIMITS)) throw new Error(`${file}: there is no limit \`${name}\``);
    limits[name] = Number(value);
  }
  return limits;
}

function presetSteps(after: string | undefined, limits: Partial<SmtpLimits>, file: string): readonly Step[] {
  if (after === undefined) return [];
  const upTo = PRESETS.findIndex((name) => name === after);
  if (upTo < 0) throw new Error(`${file}: expected \`@ after\` one of ${PRESETS.join(', ')}`);
  const size = String(limits.maxMessageBytes ?? DEFAULT_LIMITS.maxMessageBytes);
  const ehlo = ['250-mx.test', '250-PIPELINING', `250-SIZE ${size}`, '250-8BITMIME', '250 ENHANCEDSTATUSCODES'];
  const dialogs: readonly (readonly [string, readonly string[]])[] = [
    after === 'helo' ? ['HELO client.test', ['250 mx.test']] : ['EHLO client.test', ehlo],
    ['MAIL FROM:<a@client.test>', ['250 2.1.0 Sender OK']],
    ['RCPT TO:<b@mx.test>', ['250 2.1.5 Recipient OK']],
    ['DATA', ['354 End data with <CR><LF>.<CR><LF>']],
  ];
  const greeting: Step = { kind: 'expect', line: 0, text: '220 mx.test ESMTP' };
  const steps = dialogs
    .slice(0, Math.max(1, upTo))
    .flatMap(([command, replies]): Step[] => [
      { kind: 'send', line: 0, octets: Buffer.from(`${command}\r\n`) },
      ...replies.map((reply): Step => ({ kind: 'expect', line: 0, text: reply })),
    ]);
  return [greeting, ...steps];
}
