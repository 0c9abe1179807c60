/**
 * Plays a transcript against the pure machine (in any cut of the octets, with answers at once or late) or over TCP.
 * A difference is thrown with file and line. Over TCP, answers and what cannot be seen from outside come from the
 * server under test; `recordingHooks` builds them from the transcript for a server of our own.
 */
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { SmtpServerSession, encodeReply, protocolName, replyFor } from '#smtp-core';
import type { Answer, AuthAnswer, Question, SessionInput, SessionOutput } from '#smtp-core';
import type { SmtpServerHooks } from '#smtp-net';
import { printQuestion, unescapeOctets } from './transcript.js';
import type { ScriptedAnswer, Step, Transcript } from './transcript.js';
import { DEFAULT_TLS } from './transcript-options.js';

/** Cuts one group of client octets into the pieces they arrive in. */
export type Cut = (octets: Buffer) => readonly Buffer[];

export const whole: Cut = (octets) => [octets];
export const byteByByte: Cut = (octets) => Array.from(octets, (_, at) => octets.subarray(at, at + 1));

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
  #asked = 0;
  #content: Buffer[] = [];
  #recipients = 0;

  constructor(transcript: Transcript) {
    this.#script = transcript.answers;
  }

  answer(question: Question): Answer | AuthAnswer {
    const scripted = this.#script[this.#asked];
    const matches = scripted?.question === printQuestion(question);
    if (matches) this.#asked += 1;
    const answer = matches ? scripted.answer : { effect: 'accept' as const, identity: 'ann' };
    this.#count(question, answer);
    return answer;
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

  get notAsked(): ScriptedAnswer | undefined {
    return this.#script[this.#asked];
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

/** Throws when the machine does not say what the transcript says. `late`: answers come after all octets of a group. */
export function playOnMachine(transcript: Transcript, cut: Cut, late = false): void {
  const session = new SmtpServerSession({ hostname: 'mx.test', ...transcript.options });
  const seen = new Observations(transcript);
  seen.session = session;
  const lines: string[] = [];
  const waiting: SessionOutput[] = [];

  const carryOut = (outputs: readonly SessionOutput[], hold: boolean): void => {
    waiting.push(...outputs);
    while (waiting.length > 0 && !(hold && waiting[0]?.kind === 'ask' && waiting[0].question.kind !== 'connect')) {
      const output = waiting.shift();
      if (output?.kind === 'reply') lines.push(...encodeReply(output.reply).trimEnd().split('\r\n'));
      else if (output?.kind === 'ask') {
        waiting.push(...session.receive({ kind: 'answer', to: output.id, answer: seen.answer(output.question) }));
      } else if (output !== undefined) seen.note(output);
    }
  };

  carryOut(session.start(), false);
  for (const step of groupSends(transcript.steps)) {
    if (step.kind === 'send') {
      for (const piece of cut(step.octets)) carryOut(session.receive({ kind: 'bytes', bytes: piece }), late);
      carryOut([], false);
    } else if (step.kind === 'event') carryOut(session.receive(inputFor(step.event)), false);
    else if (step.kind === 'expect') expectLine(transcript, step, lines.shift());
    else check(transcript, step, seen);
  }
  if (lines.length > 0) throw new Error(`${transcript.file}: not expected: \`${lines.join('` `')}\``);
  assertAllAsked(transcript, seen);
}

/** TLS that nobody began makes the machine throw. */
function inputFor(event: Extract<Step, { kind: 'event' }>['event']): SessionInput {
  if (event === 'tls') return { kind: 'tls-established', tls: DEFAULT_TLS };
  if (event !== 'shutdown') return { kind: event };
  return { kind: 'close', reply: replyFor('shutting-down'), reason: 'shutdown', when: 'idle' };
}

/** Hooks that answer and record as the transcript wants it, for a server of the test's own. */
export function recordingHooks(seen: Observations): SmtpServerHooks {
  const plain = (question: Exclude<Question, { kind: 'auth' }>): Answer => seen.answer(question) as Answer;
  return {
    connect: () => plain({ kind: 'connect' }),
    helo: (_, verb, domain) => plain({ kind: 'helo', verb, domain }),
    mail: (_, reversePath, params) => plain({ kind: 'mail', reversePath, params }),
    rcpt: (_, forwardPath) => plain({ kind: 'rcpt', forwardPath, params: {} }),
    data: () => {
      const answer = plain({ kind: 'data' });
      if (answer.effect === 'refuse') return answer;
      const sink = { write: (chunk: Uint8Array) => { seen.addContent(chunk); }, abort: () => undefined }; // prettier-ignore
      return { effect: 'accept', sink };
    },
    message: (_, { sizeBytes }) => plain({ kind: 'message', sizeBytes }),
    transactionEnded: (_, why) => {
      seen.ended = why;
    },
    sessionEnded: (_, reason) => {
      seen.closed = reason;
    },
  };
}

/** `timeout`, `lost` and `shutdown` need a hand inside the server. */
export function canPlayOverTcp(transcript: Transcript): boolean {
  const { limits: _, ...options } = transcript.options;
  if (transcript.directives.get('play') === 'machine' || Object.keys(options).length > 0) return false;
  return transcript.steps.every((step) => step.kind !== 'event' || step.event === 'eof');
}

/** Plays over a socket. Without `seen` only what a client can see is checked. */
export async function playOverTcp(
  transcript: Transcript,
  address: { readonly host: string; readonly port: number },
  cut: Cut = whole,
  seen?: Observations,
): Promise<void> {
  const peer = new Peer(connect({ ...address, noDelay: true }));
  try {
    for (const step of groupSends(transcript.steps)) {
      if (step.kind === 'send') await peer.send(cut(step.octets));
      else if (step.kind === 'event') peer.end();
      else if (step.kind === 'expect') expectLine(transcript, step, await peer.readLine());
      else if (step.what.startsWith('closed')) await peer.ended();
      if (step.kind === 'check' && seen !== undefined) check(transcript, step, seen);
    }
    if (seen !== undefined) assertAllAsked(transcript, seen);
  } finally {
    await peer.destroy();
  }
}

class Peer {
  readonly #socket: Socket;
  #text = '';
  #over = false;
  #wake: () => void = () => undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (bytes) => {
      this.#text += bytes.toString('latin1');
      this.#wake();
    });
    socket.on('error', () => undefined);
    for (const event of ['end', 'close'] as const) {
      socket.on(event, () => {
        this.#over = true;
        this.#wake();
      });
    }
  }

  async readLine(): Promise<string | undefined> {
    await this.#until(() => this.#text.includes('\r\n') || this.#over);
    const end = this.#text.indexOf('\r\n');
    if (end < 0) return undefined;
    const line = this.#text.slice(0, end);
    this.#text = this.#text.slice(end + 2);
    return line;
  }

  ended(): Promise<void> {
    return this.#until(() => this.#over);
  }

  async send(pieces: readonly Buffer[]): Promise<void> {
    for (const piece of pieces) {
      await new Promise<void>((resolve) => {
        this.#socket.write(piece, () => {
          resolve();
        });
      });
    }
  }

  end(): void {
    this.#socket.end();
  }

  async destroy(): Promise<void> {
    if (this.#socket.closed) return;
    const closed = new Promise((resolve) => this.#socket.once('close', resolve));
    this.#socket.destroy();
    await closed;
  }

  async #until(done: () => boolean): Promise<void> {
    const deadline = setTimeout(() => {
      this.#over = true;
      this.#wake();
    }, 5_000);
    while (!done()) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    clearTimeout(deadline);
  }
}

function groupSends(steps: readonly Step[]): readonly Step[] {
  const grouped: Step[] = [];
  for (const step of steps) {
    const last = grouped.at(-1);
    if (step.kind === 'send' && last?.kind === 'send') {
      grouped[grouped.length - 1] = { ...last, octets: Buffer.concat([last.octets, step.octets]) };
    } else grouped.push(step);
  }
  return grouped;
}

function expectLine(transcript: Transcript, step: Extract<Step, { kind: 'expect' }>, got: string | undefined): void {
  const pattern = step.text.replace(/[.*+?^$()|[\]\\]/g, '\\$&').replace(/\{\w+\}/g, '[A-Za-z0-9_]+');
  if (got !== undefined && new RegExp(`^${pattern}$`).test(got)) return;
  throw difference(transcript, step, got === undefined ? 'nothing' : `\`${got}\``);
}

function check(transcript: Transcript, step: Extract<Step, { kind: 'check' }>, seen: Observations): void {
  const [name = '', ...rest] = step.what.split(' ');
  const wanted = rest.join(' ');
  const got = actual(name, seen);
  if (wanted === '' ? got !== '' : got === (name === 'content' ? unescapeOctets(wanted.slice(1, -1)) : wanted)) return;
  throw difference(transcript, step, `\`${name} ${JSON.stringify(got)}\``);
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

function actual(name: string, seen: Observations): string {
  const look = LOOKS[name];
  if (look === undefined) throw new Error(`there is nothing called \`${name}\` to look at`);
  return look(seen);
}

function assertAllAsked(transcript: Transcript, seen: Observations): void {
  const left = seen.notAsked;
  if (left !== undefined) throw new Error(`${transcript.file}:${String(left.line)}: never asked: \`${left.question}\``);
}

function difference(transcript: Transcript, step: Step, got: string): Error {
  const wanted = step.kind === 'expect' ? `\`${step.text}\`` : step.kind === 'check' ? `\`${step.what}\`` : step.kind;
  const where = step.line === 0 ? 'in its `@ after`' : `:${String(step.line)}`;
  return new Error(`${transcript.file}${where}: expected ${wanted}, got ${got}`);
}
