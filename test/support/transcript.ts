/**
 * Transcripts: SMTP dialogs as text, and what they say. The players are in `transcript-players.ts`.
 *
 *   # Title, and the RFC section it shows.          @ after …, @ limits …, @ offers …    see `transcript-options.ts`
 *   S: 250 2.1.0 Sender OK                          S: 334 {base64 "Username:"}
 *   C: MAIL FROM:<a@client.test>                    C> "raw octets\n" * 3
 *   ? mail a@client.test -> refuse 550 5.7.1 No     … -> accept named T1     ~ eof | lost | timeout | shutdown | tls
 *   ? auth LOGIN continue "ann" -> challenge "Password:"         … -> accept as ann
 *   = closed quit | content "…" | accepted 2 recipients | ended reset | open
 *   = helo client.test | protocol ESMTPSA | tls TLSv1.3 | auth ann by PLAIN | early-talker yes
 *
 * Client lines up to the next `S:`, `~` or `=` are one group: what a client may have in flight. `{id}` in a server line
 * stands for any token, `{trace?}` for a trace in brackets, if there is one. A question without a `?` line is accepted; every `?` line must have been asked, in order.
 * `@ play whole`: what is shown depends on how the octets arrive. `@ play machine`: not over TCP.
 */
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import type { Answer, AuthAnswer, MailParams, Question, RcptParams, Reply } from '#smtp-core';
import { printMailbox } from '#smtp-core';
import { readPreset, readServerOptions } from './transcript-options.js';
import type { ServerOptions } from './transcript-options.js';

const EVENTS = ['eof', 'lost', 'timeout', 'shutdown', 'tls'] as const;

export type Step =
  | { readonly kind: 'send'; readonly line: number; readonly octets: Buffer }
  | { readonly kind: 'expect'; readonly line: number; readonly text: string }
  | { readonly kind: 'event'; readonly line: number; readonly event: (typeof EVENTS)[number] }
  | { readonly kind: 'check'; readonly line: number; readonly what: string };

export interface ScriptedAnswer {
  readonly line: number;
  readonly question: string;
  readonly answer: Answer | AuthAnswer;
}

export interface Transcript {
  readonly file: string;
  readonly title: string;
  readonly steps: readonly Step[];
  readonly answers: readonly ScriptedAnswer[];
  readonly options: ServerOptions;
  /** Every `@` line. */
  readonly directives: ReadonlyMap<string, string>;
}

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
    else if (mark === 'S:') steps.push({ kind: 'expect', line, text: expand(rest) });
    else if (mark === 'C:') steps.push({ kind: 'send', line, octets: Buffer.from(`${expand(rest)}\r\n`, 'utf8') });
    else if (mark === 'C>') steps.push({ kind: 'send', line, octets: readOctets(rest, file, line) });
    else if (raw.startsWith('? ')) answers.push(readAnswer(raw.slice(2), file, line));
    else if (raw.startsWith('~ ')) steps.push({ kind: 'event', line, event: readEvent(raw.slice(2), file, line) });
    else if (raw.startsWith('= ')) steps.push({ kind: 'check', line, what: raw.slice(2) });
    else throw new Error(`${file}:${String(line)}: \`${raw}\` begins with no known mark`);
  }
  const options = readServerOptions(directives, file);
  const after = directives.get('after');
  return {
    file,
    title: comments.join(' '),
    steps: [...(after === undefined ? [] : presetSteps(after, options, file)), ...steps],
    answers,
    options,
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
      const sender = question.reversePath.kind === 'null' ? '<>' : printMailbox(question.reversePath.mailbox);
      return `mail ${sender}${printMailParams(question.params)}`;
    }
    case 'rcpt': {
      const { forwardPath, params } = question;
      const recipient = forwardPath.kind === 'postmaster' ? 'postmaster' : printMailbox(forwardPath.mailbox);
      return `rcpt ${recipient}${printRcptParams(params)}`;
    }
    case 'auth': {
      const response = question.response?.toString('utf8');
      return `auth ${question.mechanism} ${question.step}${response === undefined ? '' : ` "${escapeOctets(response)}"`}`;
    }
    case 'xclient':
      return `xclient ${Array.from(question.attributes, ([name, value]) => `${name}=${value}`).join(' ')}`;
    case 'message':
      return `message ${String(question.sizeBytes)}`;
  }
}

function printMailParams(params: MailParams): string {
  const parts = [
    params.sizeBytes === undefined ? '' : ` SIZE=${String(params.sizeBytes)}`,
    params.body === undefined ? '' : ` BODY=${params.body}`,
    params.smtpUtf8 === undefined ? '' : ' SMTPUTF8',
    params.ret === undefined ? '' : ` RET=${params.ret}`,
    params.envelopeId === undefined ? '' : ` ENVID=${params.envelopeId}`,
    params.authParam === undefined ? '' : ` AUTH=${params.authParam}`,
  ];
  return parts.join('');
}

function printRcptParams({ notify, originalRecipient }: RcptParams): string {
  const told = notify === undefined ? '' : ` NOTIFY=${notify.join(',')}`;
  return originalRecipient === undefined ? told : `${told} ORCPT=${originalRecipient}`;
}

function addDirective(directives: Map<string, string>, text: string): void {
  const space = text.indexOf(' ');
  directives.set(space < 0 ? text : text.slice(0, space), space < 0 ? '' : text.slice(space + 1));
}

const ANSWER =
  /^(.+) -> (?:(accept)(?: as (\S+))?(?: named (\S+))?|(refuse)|challenge "(.*)")(?: (\d{3} .+?))?( and close)?$/;

function readAnswer(text: string, file: string, line: number): ScriptedAnswer {
  const match = ANSWER.exec(text);
  if (match === null) throw new Error(`${file}:${String(line)}: expected \`question -> answer [reply]\``);
  const [, question = '', accept, identity, trace, , challenge, replyText, close] = match;
  const reply = replyText === undefined ? {} : { reply: readReply(replyText) };
  if (challenge !== undefined) {
    return {
      line,
      question,
      answer: { effect: 'challenge', challenge: Buffer.from(unescapeOctets(challenge), 'utf8') },
    };
  }
  if (accept !== undefined) {
    const named = { ...(identity !== undefined && { identity }), ...(trace !== undefined && { trace }) };
    return { line, question, answer: { effect: 'accept', ...named, ...reply } };
  }
  const isAuth = question.startsWith('auth ');
  if (replyText === undefined && !isAuth) throw new Error(`${file}:${String(line)}: a refusal needs its reply`);
  return { line, question, answer: { effect: 'refuse', ...reply, close: close !== undefined } };
}

function readReply(text: string): Reply {
  const [, code = '', enhanced, words = ''] = /^(\d{3})(?: (\d\.\d{1,3}\.\d{1,3}))? (.+)$/.exec(text) ?? [];
  return { code: Number(code), lines: [words], ...(enhanced === undefined ? {} : { enhanced }) };
}

/** `{base64 "…"}` → the text in base64. */
function expand(text: string): string {
  return text.replace(/\{base64 "((?:[^"\\]|\\.)*)"\}/g, (_, octets: string) =>
    Buffer.from(unescapeOctets(octets), 'utf8').toString('base64'),
  );
}

function escapeOctets(text: string): string {
  return text.replaceAll('\0', '\\0');
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

function presetSteps(after: string, options: ServerOptions, file: string): readonly Step[] {
  const greeting: Step = { kind: 'expect', line: 0, text: '220 mx.test ESMTP' };
  const steps = readPreset(after, options, file).flatMap((exchange): Step[] =>
    exchange.kind === 'tls'
      ? [{ kind: 'event', line: 0, event: 'tls' }]
      : [
          { kind: 'send', line: 0, octets: Buffer.from(`${exchange.command}\r\n`) },
          ...exchange.replies.map((text): Step => ({ kind: 'expect', line: 0, text })),
        ],
  );
  return [greeting, ...steps];
}
