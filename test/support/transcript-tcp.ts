/**
 * Plays a transcript over TCP against a server that is listening, with real TLS. Answers and what cannot be seen from
 * outside come from the server; `recordingHooks` and `listenFor` make one that does as the transcript says.
 */
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Answer, Question } from '#smtp-core';
import { createServerContext, createSmtpServer } from '#smtp-net';
import type { ListenerSettings, PasswordAnswer, SmtpServerHooks } from '#smtp-net';
import { selfSigned } from './certificates.js';
import type { ScriptedAnswer, Step, Transcript } from './transcript.js';
import { whole } from './transcript-players.js';
import type { Cut } from './transcript-players.js';
import type { Observations } from './transcript-seen.js';
import { assertAllAsked, check, expectLine, groupSends, holds } from './transcript-seen.js';

/** How long a client that speaks before the greeting has for it. */
const GREETING_DELAY_MS = 40;
const LISTENER_OPTIONS: ReadonlySet<string> = new Set([
  'limits', 'startTls', 'tls', 'tlsRequired', 'auth', 'authRequired', 'xclient', 'earlyTalkers', 'unknownBeforeEhlo',
]); // prettier-ignore
const PLAYABLE_EVENTS: ReadonlySet<string> = new Set(['eof', 'tls']);

const certificate = selfSigned({ names: ['mx.test'] });

/**
 * `timeout`, `lost` and `shutdown` need a hand inside the server; some options are the machine's only; and a server
 * that speaks SASL itself says nothing of mechanisms it has not got.
 */
export function canPlayOverTcp({ directives, options, steps }: Transcript): boolean {
  if (directives.get('play') === 'machine') return false;
  if (Object.keys(options).some((name) => !LISTENER_OPTIONS.has(name))) return false;
  return steps.every((step) => step.kind !== 'event' || PLAYABLE_EVENTS.has(step.event));
}

/** smtp-net asks for a password, not for the steps to it, and believes XCLIENT itself. */
export function answeredBySmtpNet({ question, answer }: ScriptedAnswer): boolean {
  return question.startsWith('xclient ') || answer.effect === 'challenge';
}

export interface TranscriptServer {
  readonly host: string;
  readonly port: number;
  readonly bugs: readonly unknown[];
  close(): Promise<void>;
}

/** A server on smtp-net with the options of the transcript. */
export async function listenFor(transcript: Transcript, seen: Observations): Promise<TranscriptServer> {
  const bugs: unknown[] = [];
  const server = createSmtpServer({
    hostname: 'mx.test',
    hooks: recordingHooks(seen),
    onBug: (error) => bugs.push(error),
  });
  const host = '127.0.0.1';
  const { port } = await server.listen({ host, port: 0, ...(await settingsFor(transcript)) });
  return { host, port, bugs, close: () => server.close(0) };
}

async function settingsFor({ options }: Transcript): Promise<ListenerSettings> {
  const { limits = {}, auth, earlyTalkers, unknownBeforeEhlo } = options;
  const { certificate: cert, key } = await certificate;
  const context = createServerContext({ cert, key });
  const required = { required: options.tlsRequired === true };
  const mode = options.tls === undefined ? 'starttls' : 'implicit';
  const needsTls = options.startTls === true || options.tls !== undefined;
  return {
    limits,
    ...(needsTls ? { tls: { mode, ...required, secureContext: () => context } } : {}),
    ...(auth === undefined ? {} : { auth: { ...auth, required: options.authRequired === true } }),
    ...(options.xclient === true ? { xclientFrom: () => true } : {}),
    unknownBeforeEhlo,
    ...(earlyTalkers === 'told' ? { greetingDelayMs: GREETING_DELAY_MS } : {}),
  };
}

/** Hooks that answer and record as the transcript wants it. */
function recordingHooks(seen: Observations): SmtpServerHooks {
  const plain = (question: Exclude<Question, { kind: 'auth' }>): Answer => seen.answer(question) as Answer;
  return {
    connect: (session) => {
      seen.session = session;
      return plain({ kind: 'connect' });
    },
    helo: (_, verb, domain) => plain({ kind: 'helo', verb, domain }),
    mail: (_, reversePath, params) => plain({ kind: 'mail', reversePath, params }),
    rcpt: (_, forwardPath, params) => plain({ kind: 'rcpt', forwardPath, params }),
    data: () => {
      const answer = plain({ kind: 'data' });
      if (answer.effect === 'refuse') return answer;
      const sink = { write: (chunk: Uint8Array) => { seen.addContent(chunk); }, abort: () => undefined }; // prettier-ignore
      return { effect: 'accept', sink };
    },
    message: (_, { sizeBytes }) => plain({ kind: 'message', sizeBytes }),
    authenticate: () => seen.answerAuth() as PasswordAnswer,
    scramCredentials: () => undefined,
    transactionEnded: (_, why) => {
      seen.ended = why;
    },
    sessionEnded: (_, reason) => {
      seen.closed = reason;
    },
  };
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
    if (transcript.options.tls !== undefined) await peer.startTls(transcript.options.tls.version);
    for (const step of groupSends(transcript.steps)) {
      if (step.kind === 'send') await peer.send(cut(step.octets));
      else if (step.kind === 'event' && step.event === 'tls') await peer.startTls();
      else if (step.kind === 'event') peer.end();
      else if (step.kind === 'expect') expectLine(transcript, step, await peer.readLine());
      else if (step.what.startsWith('closed')) await peer.ended();
      if (step.kind === 'check' && seen !== undefined) await checkSoon(transcript, step, seen);
    }
    if (seen !== undefined) assertAllAsked(transcript, seen);
  } finally {
    await peer.destroy();
  }
}

/** The inside may learn of what the client did a moment later than the client. */
async function checkSoon(
  transcript: Transcript,
  step: Extract<Step, { kind: 'check' }>,
  seen: Observations,
): Promise<void> {
  for (let tries = 0; tries < 200 && !holds(step, seen); tries += 1) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  check(transcript, step, seen);
}

class Peer {
  #socket: Socket;
  #text = '';
  #over = false;
  #wake: () => void = () => undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.#listen();
  }

  async startTls(version: 'TLSv1.2' | 'TLSv1.3' = 'TLSv1.3'): Promise<void> {
    this.#socket.removeAllListeners('data');
    const socket = connectTls({ socket: this.#socket, rejectUnauthorized: false, maxVersion: version });
    await new Promise<void>((resolve, reject) => {
      socket.once('secureConnect', resolve);
      socket.once('error', reject);
    });
    this.#socket = socket;
    this.#listen();
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

  #listen(): void {
    this.#socket.on('data', (bytes) => {
      this.#text += bytes.toString('latin1');
      this.#wake();
    });
    this.#socket.on('error', () => undefined);
    for (const event of ['end', 'close'] as const) {
      this.#socket.on(event, () => {
        this.#over = true;
        this.#wake();
      });
    }
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
