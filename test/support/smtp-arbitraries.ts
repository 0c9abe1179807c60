/**
 * Hostile and ordinary input for the SMTP properties, and the canonical form in which two conversations are compared.
 */
import fc from 'fast-check';
import { SmtpServerSession, encodeReply } from '#smtp-core';
import type { Answer, AuthAnswer, Awaited, Question, SessionOptions, SessionOutput } from '#smtp-core';

const TLS = { version: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384' } as const;
const FRAGMENTS = [
  'EHLO client.test\r\n', 'HELO client.test\r\n', 'MAIL FROM:<a@client.test>\r\n', 'MAIL FROM:<> SIZE=10\r\n',
  'RCPT TO:<b@mx.test>\r\n', 'RCPT TO:<"x\\" y"@mx.test>\r\n', 'RCPT TO:<postmaster>\r\n', 'DATA\r\n', 'RSET\r\n', 'NOOP\r\n',
  'QUIT\r\n', 'VRFY x\r\n', 'EXPN x\r\n', 'HELP\r\n', 'STARTTLS\r\n', 'AUTH PLAIN x\r\n', 'BDAT 5\r\n', 'BDAT 9 LAST\r\n',
  'BDAT 4\r\na\r\nb', 'BDAT 3\r\na\r\n', 'BDAT 3\r\n.\r\n', 'BDAT 2 LAST\r\nb\r', 'BDAT 1 LAST\r\n\n', 'BDAT 0\r\n', 'BDAT 0 LAST\r\n',
  'BDAT 999\r\n', 'BDAT x\r\n', 'AUTH PLAIN\r\n', 'AUTH PLAIN =\r\n', 'AUTH LOGIN AAAA\r\n', 'AGEAYg==\r\n', '*\r\n',
  'XCLIENT ADDR=192.0.2.9\r\n', 'MAIL FROM:<\xc3\xbc@client.test> SMTPUTF8 RET=HDRS\r\n', 'RCPT TO:<\xc3\xbc@mx.test> NOTIFY=NEVER\r\n',
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
export const smtpContentOctets: fc.Arbitrary<Buffer> = fc
  .tuple(smtpOctets, fc.constantFrom('DATA', 'BDAT 7'))
  .map(([octets, verb]) =>
    Buffer.concat([Buffer.from(`EHLO c.test\r\nMAIL FROM:<>\r\nRCPT TO:<b@mx.test>\r\n${verb}\r\n`), octets]),
  );

/** Places to cut at, taken modulo the length. */
export const cuts: fc.Arbitrary<readonly number[]> = fc.array(fc.nat({ max: 4000 }), { maxLength: 20 });

export function cutAt(octets: Buffer, places: readonly number[]): readonly Buffer[] {
  const sorted = [...new Set(places.map((place) => place % (octets.length + 1)))].sort((a, b) => a - b);
  const edges = [0, ...sorted, octets.length];
  return edges.slice(1).map((end, at) => octets.subarray(edges[at], end));
}

export type Judge = (id: number, question: Question) => Answer | AuthAnswer;

/** Whether the n-th question of a session is accepted. The connection always is. */
export const verdicts: fc.Arbitrary<Judge> = fc
  .array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 12 })
  .map((dice) => (id: number, question: Question): Answer | AuthAnswer => {
    const die = id === 1 ? 0 : (dice[id % dice.length] ?? 0);
    if (question.kind === 'auth' && die < 3) return { effect: 'challenge', challenge: Buffer.from('more') };
    if (question.kind === 'auth' && die < 7) return { effect: 'accept', identity: 'ann' };
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
  readonly answers: readonly { readonly question: string; readonly answer: Answer | AuthAnswer }[];
  readonly maxHeldBytes: number;
  /** What the machine waited for when the octets were used up. */
  readonly awaitedLast: Awaited;
}

/** Runs a session over the pieces; `tls`: where the machine waits for it, TLS is established. `late`: each answer comes only when one more piece has arrived. */
export function converse(
  pieces: readonly (Buffer | 'tls')[],
  answerTo: Judge,
  { late = false, ...options }: Partial<SessionOptions> & { late?: boolean } = {},
): Conversation {
  const session = new SmtpServerSession({ hostname: 'mx.test', syncPoints: 'tolerated', ...options });
  const outputs: SessionOutput[] = [];
  const answers: { question: string; answer: Answer | AuthAnswer }[] = [];
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
    const given = answerTo(id, question);
    answers.push({ question: question.kind, answer: given });
    take(session.receive({ kind: 'answer', to: id, answer: given }));
  };
  const answerAll = (): void => {
    for (;;) {
      if (session.awaits === 'turn') take(session.receive({ kind: 'go-on' }));
      else if (open !== undefined && session.awaits === 'answer') answer();
      else return;
    }
  };

  take(session.start());
  answerAll();
  for (const piece of pieces) {
    if (piece !== 'tls') take(session.receive({ kind: 'bytes', bytes: piece }));
    else if (session.awaits === 'tls') take(session.receive({ kind: 'tls-established', tls: TLS }));
    if (late) answer();
    else answerAll();
  }
  answerAll();
  const awaitedLast = session.awaits;
  take(session.receive({ kind: 'eof' }));
  answerAll();
  return { session, outputs, answers, maxHeldBytes, awaitedLast };
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
