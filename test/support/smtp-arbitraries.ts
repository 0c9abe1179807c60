/**
 * Hostile and ordinary input for the SMTP properties, and the canonical form in which two conversations are compared.
 */
import fc from 'fast-check';
import { SmtpServerSession, encodeReply } from '#smtp-core';
import type { Answer, SessionOptions, SessionOutput } from '#smtp-core';

const FRAGMENTS = [
  'EHLO client.test\r\n', 'HELO client.test\r\n', 'MAIL FROM:<a@client.test>\r\n', 'MAIL FROM:<> SIZE=10\r\n',
  'RCPT TO:<b@mx.test>\r\n', 'RCPT TO:<"x\\" y"@mx.test>\r\n', 'RCPT TO:<postmaster>\r\n', 'DATA\r\n', 'RSET\r\n', 'NOOP\r\n',
  'QUIT\r\n', 'VRFY x\r\n', 'EXPN x\r\n', 'HELP\r\n', 'STARTTLS\r\n', 'AUTH PLAIN x\r\n', 'BDAT 5\r\n', 'BDAT 9 LAST\r\n',
  'Subject: x\r\n', '.\r\n', '\r\n.\r\n', '..\r\n', '.a\r\n', '.', '\r', '\n', '\r\n', '\0', ' ', 'text', '\xff', '>', '"', '@',
  'x'.repeat(80), `${'y'.repeat(200)}\r\n`,
] as const; // prettier-ignore

/** Octets made of commands, content and the pieces smugglers use. */
export const smtpOctets: fc.Arbitrary<Buffer> = fc
  .array(fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...FRAGMENTS) }, { weight: 1, arbitrary: fc.string() }), {
    maxLength: 60,
  })
  .map((fragments) => Buffer.from(fragments.join(''), 'latin1'));

/** Octets that get into content: a prologue that is accepted, then anything. */
export const smtpContentOctets: fc.Arbitrary<Buffer> = smtpOctets.map((octets) =>
  Buffer.concat([Buffer.from('EHLO c.test\r\nMAIL FROM:<>\r\nRCPT TO:<b@mx.test>\r\nDATA\r\n'), octets]),
);

/** Places to cut at, taken modulo the length. */
export const cuts: fc.Arbitrary<readonly number[]> = fc.array(fc.nat({ max: 4000 }), { maxLength: 20 });

export function cutAt(octets: Buffer, places: readonly number[]): readonly Buffer[] {
  const sorted = [...new Set(places.map((place) => place % (octets.length + 1)))].sort((a, b) => a - b);
  const edges = [0, ...sorted, octets.length];
  return edges.slice(1).map((end, at) => octets.subarray(edges[at], end));
}

/** Whether the n-th question of a session is accepted. The connection always is. */
export const verdicts: fc.Arbitrary<(id: number) => Answer> = fc
  .array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 12 })
  .map((dice) => (id: number): Answer => {
    const die = id === 1 ? 0 : dice[id % dice.length];
    if (die === 9) return { effect: 'refuse', reply: { code: 554, enhanced: '5.7.1', lines: ['No'] }, close: true };
    if (die === 8) return { effect: 'refuse', reply: { code: 451, enhanced: '4.3.0', lines: ['Later'] } };
    return die === 7
      ? { effect: 'refuse', reply: { code: 550, enhanced: '5.7.1', lines: ['No'] } }
      : { effect: 'accept' };
  });

export interface Conversation {
  readonly session: SmtpServerSession;
  readonly outputs: readonly SessionOutput[];
  /** Answers given, in order. */
  readonly answers: readonly { readonly question: string; readonly answer: Answer }[];
  readonly maxHeldBytes: number;
}

/** Runs a session over the pieces. `late`: each answer comes only when one more piece has arrived. */
export function converse(
  pieces: readonly Buffer[],
  answerTo: (id: number) => Answer,
  { late = false, ...options }: Partial<SessionOptions> & { late?: boolean } = {},
): Conversation {
  const session = new SmtpServerSession({ hostname: 'mx.test', syncPoints: 'tolerated', ...options });
  const outputs: SessionOutput[] = [];
  const answers: { question: string; answer: Answer }[] = [];
  let maxHeldBytes = 0;
  let open: Extract<SessionOutput, { kind: 'ask' }> | undefined;
  const take = (more: readonly SessionOutput[]): void => {
    outputs.push(...more);
    for (const output of more) if (output.kind === 'ask') open = output;
    maxHeldBytes = Math.max(maxHeldBytes, session.heldBytes);
  };
  const answer = (): void => {
    if (open === undefined) return;
    const { id, question } = open;
    open = undefined;
    answers.push({ question: question.kind, answer: answerTo(id) });
    take(session.receive({ kind: 'answer', to: id, answer: answerTo(id) }));
  };
  const answerAll = (): void => {
    while (open !== undefined && session.awaits === 'answer') answer();
  };

  take(session.start());
  answerAll();
  for (const piece of pieces) {
    take(session.receive({ kind: 'bytes', bytes: piece }));
    if (late) answer();
    else answerAll();
  }
  answerAll();
  take(session.receive({ kind: 'eof' }));
  return { session, outputs, answers, maxHeldBytes };
}

/** One line per output, neighbouring content joined: equal for equal conversations. */
export function canonical(outputs: readonly SessionOutput[]): readonly string[] {
  const lines: string[] = [];
  let content: Uint8Array[] = [];
  const flush = (): void => {
    if (content.length > 0) lines.push(`content ${Buffer.concat(content).toString('latin1')}`);
    content = [];
  };
  for (const output of outputs) {
    if (output.kind === 'content') {
      content.push(output.bytes);
      continue;
    }
    flush();
    if (output.kind === 'reply') lines.push(encodeReply(output.reply));
    else if (output.kind === 'ask') lines.push(`ask ${String(output.id)} ${JSON.stringify(output.question)}`);
    else lines.push(JSON.stringify(output));
  }
  flush();
  return lines;
}
