/**
 * Plays a transcript against the pure machine, in any cut of the octets, with answers at once or late. Over TCP it is
 * played by `transcript-tcp.ts`.
 */
import { SmtpServerSession, encodeReply, replyFor } from '#smtp-core';
import type { SessionInput, SessionOutput } from '#smtp-core';
import { Observations, assertAllAsked, check, expectLine, groupSends } from './transcript-seen.js';
import { DEFAULT_TLS } from './transcript-options.js';
import type { Step, Transcript } from './transcript.js';

/** Cuts one group of client octets into the pieces they arrive in. */
export type Cut = (octets: Buffer) => readonly Buffer[];

export const whole: Cut = (octets) => [octets];
export const byteByByte: Cut = (octets) => Array.from(octets, (_, at) => octets.subarray(at, at + 1));

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
      if (output?.kind === 'reply') lines.push(...encodeReply(output.reply).slice(0, -2).split('\r\n'));
      else if (output?.kind === 'ask') {
        waiting.push(...session.receive({ kind: 'answer', to: output.id, answer: seen.answer(output.question) }));
      } else if (output !== undefined) seen.note(output);
    }
  };
  const send = (octets: Buffer): void => {
    for (const piece of cut(octets)) carryOut(session.receive({ kind: 'bytes', bytes: piece }), late);
    carryOut([], false);
  };

  const steps = groupSends(transcript.steps);
  const [first] = steps;
  // What comes before the greeting comes before it is decided on.
  const greeting = session.start();
  if (first?.kind === 'send') waiting.push(...greeting, ...session.receive({ kind: 'bytes', bytes: first.octets }));
  carryOut(first?.kind === 'send' ? [] : greeting, false);
  for (const step of first?.kind === 'send' ? steps.slice(1) : steps) {
    if (step.kind === 'send') send(step.octets);
    else if (step.kind === 'event') carryOut(session.receive(inputFor(step.event)), false);
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
