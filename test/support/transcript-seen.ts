/**
 * What was seen while a transcript was played, and how it is compared with what the transcript says. A difference is
 * thrown with file and line.
 */
import { protocolName } from '#smtp-core';
import type { Answer, AuthAnswer, Question, SessionOutput, SmtpServerSession } from '#smtp-core';
import { printQuestion, unescapeOctets } from './transcript.js';
import type { ScriptedAnswer, Step, Transcript } from './transcript.js';

/** What of a session a transcript may look at, on the machine and behind a socket. */
type SeenSession = Pick<SmtpServerSession, 'helo' | 'protocol' | 'tls' | 'auth' | 'earlyTalker'>;

/** What happened on the inside. */
export class Observations {
  content = '';
  acceptedRecipients = 0;
  ended: string | undefined;
  closed: string | undefined;
  /** The session under test, to look into. */
  session: SeenSession | undefined;
  readonly #script: readonly ScriptedAnswer[];
  readonly #answersItself: (scripted: ScriptedAnswer) => boolean;
  #asked = 0;
  #content: Buffer[] = [];
  #recipients = 0;

  /** `answersItself`: scripted answers that the server under test gives without asking us. */
  constructor(transcript: Transcript, answersItself: (scripted: ScriptedAnswer) => boolean = () => false) {
    this.#script = transcript.answers;
    this.#answersItself = answersItself;
  }

  answer(question: Question): Answer | AuthAnswer {
    const scripted = this.notAsked;
    const matches = scripted?.question === printQuestion(question);
    if (matches) this.#asked += 1;
    const answer = matches ? scripted.answer : { effect: 'accept' as const, identity: 'ann' };
    this.#count(question, answer);
    return answer;
  }

  /** The end of a SASL exchange whose steps the server under test took itself. */
  answerAuth(): AuthAnswer {
    const scripted = this.notAsked;
    if (scripted?.question.startsWith('auth ') !== true) return { effect: 'accept', identity: 'ann' };
    this.#asked += 1;
    return scripted.answer as AuthAnswer;
  }

  addContent(bytes: Uint8Array): void {
    this.#content.push(Buffer.from(bytes));
  }

  /** An output that is neither a reply nor a question. */
  note(output: SessionOutput): void {
    if (output.kind === 'content') this.addContent(output.bytes);
    else if (output.kind === 'transaction-ended') this.ended = output.why;
    else if (output.kind === 'close') this.closed = output.reason;
  }

  /** The next scripted answer. */
  get notAsked(): ScriptedAnswer | undefined {
    let scripted = this.#script[this.#asked];
    while (scripted !== undefined && this.#answersItself(scripted)) {
      this.#asked += 1;
      scripted = this.#script[this.#asked];
    }
    return scripted;
  }

  #count(question: Question, { effect }: Answer | AuthAnswer): void {
    if (question.kind === 'mail') this.#recipients = 0;
    if (question.kind === 'data') this.#content = [];
    if (question.kind === 'rcpt' && effect === 'accept') this.#recipients += 1;
    if (question.kind !== 'message') return;
    this.content = Buffer.concat(this.#content).toString('latin1');
    if (effect === 'accept') this.acceptedRecipients = this.#recipients;
  }
}

/** Neighbouring sends as one: what a client may have in flight. */
export function groupSends(steps: readonly Step[]): readonly Step[] {
  const grouped: Step[] = [];
  for (const step of steps) {
    const last = grouped.at(-1);
    if (step.kind === 'send' && last?.kind === 'send') {
      grouped[grouped.length - 1] = { ...last, octets: Buffer.concat([last.octets, step.octets]) };
    } else grouped.push(step);
  }
  return grouped;
}

export function expectLine(
  transcript: Transcript,
  step: Extract<Step, { kind: 'expect' }>,
  got: string | undefined,
): void {
  const pattern = step.text
    .replace(/[.*+?^$()|[\]\\]/g, '\\$&')
    .replace('{trace\\?}', '(?: \\[\\w+\\])?')
    .replace(/\{\w+\}/g, '[A-Za-z0-9_]+');
  if (got !== undefined && new RegExp(`^${pattern}$`).test(got)) return;
  throw difference(transcript, step, got === undefined ? 'nothing' : `\`${got}\``);
}

type Check = Extract<Step, { kind: 'check' }>;

/** Whether what the step says is so. */
export function holds({ what }: Check, seen: Observations): boolean {
  const [name = '', ...rest] = what.split(' ');
  const wanted = rest.join(' ');
  const got = lookAt(name, seen);
  return wanted === '' ? got !== '' : got === (name === 'content' ? unescapeOctets(wanted.slice(1, -1)) : wanted);
}

export function check(transcript: Transcript, step: Check, seen: Observations): void {
  if (holds(step, seen)) return;
  const [name = ''] = step.what.split(' ');
  throw difference(transcript, step, `\`${name} ${JSON.stringify(lookAt(name, seen))}\``);
}

export function assertAllAsked(transcript: Transcript, seen: Observations): void {
  const left = seen.notAsked;
  if (left !== undefined) throw new Error(`${transcript.file}:${String(left.line)}: never asked: \`${left.question}\``);
}

const LOOKS: Readonly<Record<string, (seen: Observations) => string>> = {
  closed: (seen) => seen.closed ?? '',
  open: (seen) => (seen.closed === undefined ? 'open' : ''),
  ended: (seen) => seen.ended ?? '',
  content: (seen) => seen.content,
  accepted: ({ acceptedRecipients: count }) => `${String(count)} ${count === 1 ? 'recipient' : 'recipients'}`,
  helo: (seen) => seen.session?.helo ?? 'none',
  tls: (seen) => seen.session?.tls?.version ?? 'none',
  auth: (seen) => {
    const auth = seen.session?.auth;
    return auth === undefined ? 'none' : `${auth.identity} by ${auth.mechanism}`;
  },
  'early-talker': (seen) => (seen.session?.earlyTalker === true ? 'yes' : 'no'),
  protocol: (seen) => (seen.session === undefined ? '' : protocolName(seen.session)),
};

function lookAt(name: string, seen: Observations): string {
  const look = LOOKS[name];
  if (look === undefined) throw new Error(`there is nothing called \`${name}\` to look at`);
  return look(seen);
}

function difference(transcript: Transcript, step: Step, got: string): Error {
  const wanted = step.kind === 'expect' ? `\`${step.text}\`` : step.kind === 'check' ? `\`${step.what}\`` : step.kind;
  const where = step.line === 0 ? ' in its `@ after`' : `:${String(step.line)}`;
  return new Error(`${transcript.file}${where}: expected ${wanted}, got ${got}`);
}
