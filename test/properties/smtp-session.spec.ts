import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { SmtpServerSession, encodeReply } from '#smtp-core';
import type { Awaited, Question, SessionOutput } from '#smtp-core';
import type { Judge } from '../support/smtp-arbitraries.js';
import {
  canonical,
  converse,
  cutAt,
  cuts,
  smtpContentOctets,
  smtpOctets,
  verdicts,
} from '../support/smtp-arbitraries.js';
import { runs } from '../support/fuzz.js';

const octets = fc.oneof(smtpOctets, smtpContentOctets);
const OPTIONS = { auth: { mechanisms: ['PLAIN', 'LOGIN'], withoutTls: true }, xclient: true };
const TLS = { version: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384' } as const;
const LIMITS = {
  maxMessageBytes: 300,
  maxSwallowedBytes: 100_000,
  maxErrors: 1000,
  maxIdleCommands: 1000,
  maxCommandLineBytes: 512,
};

/** Questions are numbered through a session; two sessions are compared without. */
function withoutIds(outputs: readonly SessionOutput[]): readonly string[] {
  return canonical(outputs).map((line) => line.replace(/^ask \d+/, 'ask'));
}

type Place = 'commands' | 'data' | 'chunks';

/** An EHLO that is refused between two chunks changes nothing. */
function placeAfter(question: Question['kind'], before: Place): Place {
  if (question === 'data') return 'chunks';
  return question === 'message' ? 'commands' : before;
}

/** A challenge was told and its response never came. */
function openExchange(outputs: readonly SessionOutput[], awaited: Awaited): boolean {
  const last = outputs.findLast((output) => output.kind === 'reply');
  return last?.reply.code === 334 && awaited !== 'nothing';
}

function replies(outputs: readonly SessionOutput[]): readonly string[] {
  return outputs.flatMap((output) => (output.kind === 'reply' ? [encodeReply(output.reply)] : []));
}

describe('the inbound machine', () => {
  it('property 1: any split gives the same conversation', () => {
    fc.assert(
      fc.property(octets, cuts, verdicts, fc.boolean(), (input, places, answerTo, late) => {
        const whole = converse([input], answerTo, { ...OPTIONS, limits: LIMITS });
        const cut = converse(cutAt(input, places), answerTo, { ...OPTIONS, limits: LIMITS, late });
        expect(canonical(cut.outputs)).toEqual(canonical(whole.outputs));
        const bytes = converse(
          cutAt(
            input,
            Array.from(input, (_, at) => at),
          ),
          answerTo,
          { ...OPTIONS, limits: LIMITS },
        );
        expect(canonical(bytes.outputs)).toEqual(canonical(whole.outputs));
      }),
      runs(300),
    );
  });

  it('property 1: however little is read at once, the same conversation', () => {
    fc.assert(
      fc.property(
        octets,
        cuts,
        verdicts,
        fc.record({ late: fc.boolean(), stepsAtOnce: fc.integer({ min: 1, max: 4 }) }),
        (input, places, answerTo, how) => {
          const whole = converse([input], answerTo, { ...OPTIONS, limits: LIMITS });
          const inSteps = converse(cutAt(input, places), answerTo, { ...OPTIONS, limits: LIMITS, ...how });
          expect(canonical(inSteps.outputs)).toEqual(canonical(whole.outputs));
        },
      ),
      runs(300),
    );
  });

  it('one call reads no more than it may, whatever was given', () => {
    const session = new SmtpServerSession({ hostname: 'mx.test', stepsAtOnce: 10, limits: { maxErrors: 10_000 } });
    const [connect] = session.start();
    if (connect?.kind === 'ask') session.receive({ kind: 'answer', to: connect.id, answer: { effect: 'accept' } });
    const first = session.receive({ kind: 'bytes', bytes: Buffer.from('NOOP\r\n'.repeat(25)) });
    expect([first.length, session.awaits]).toEqual([10, 'turn']);
    // What comes meanwhile waits behind.
    expect(session.receive({ kind: 'bytes', bytes: Buffer.from('HELP\r\n') })).toHaveLength(10);
    const last = session.receive({ kind: 'go-on' });
    expect([replies(last).length, replies(last).at(-1)?.slice(0, 3), session.awaits]).toEqual([6, '214', 'command']);
  });

  it('property 2: garbage is answered, never thrown', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2000 }), cuts, verdicts, (bytes, places, answerTo) => {
        const { session, outputs } = converse(cutAt(Buffer.from(bytes), places), answerTo);
        expect(session.awaits).toBe('nothing');
        expect(outputs.at(-1)?.kind).toBe('close');
      }),
      runs(100),
    );
  });

  it('property 3: one reply per command, in order, none after close', () => {
    fc.assert(
      fc.property(octets, cuts, verdicts, (input, places, answerTo) => {
        const { session, outputs, answers, awaitedLast } = converse(cutAt(input, places), answerTo, {
          ...OPTIONS,
          limits: LIMITS,
        });
        const said = replies(outputs);
        const begun = said.filter((reply) => reply.startsWith('354 ')).length;
        // The octets of DATA or of a chunk may end before the content does; then its reply is owed.
        const owed = awaitedLast === 'content' ? 1 : 0;
        const responses = answers.filter(
          ({ question, answer }) => question === 'auth' && answer.effect === 'challenge',
        );
        const partial = openExchange(outputs, awaitedLast) ? 1 : 0;
        const renewed = outputs.filter((output) => output.kind === 'ask' && output.question.kind === 'connect').length;
        const xclients = answers.filter(({ question, answer }) => question === 'xclient' && answer.effect === 'accept');
        expect(renewed).toBe(1 + xclients.length);
        expect(said).toHaveLength(1 + session.counters.commands + begun - owed + responses.length - partial);
        expect(outputs.findIndex(({ kind }) => kind === 'close')).toBe(outputs.length - 1);
        expect(session.receive({ kind: 'bytes', bytes: Buffer.from('NOOP\r\n') })).toEqual([]);
      }),
      runs(100),
    );
  });

  it('property 4: content only between 354 and the terminator', () => {
    fc.assert(
      fc.property(octets, cuts, verdicts, (input, places, answerTo) => {
        // By DATA: from 354 to the next reply. By chunks: from `data` to `message`, or the end of the transaction.
        let place: Place = 'commands';
        for (const output of converse(cutAt(input, places), answerTo, { ...OPTIONS, limits: LIMITS }).outputs) {
          if (output.kind === 'content') expect(place).not.toBe('commands');
          else if (output.kind === 'ask') place = placeAfter(output.question.kind, place);
          else if (output.kind !== 'reply') place = 'commands';
          else if (output.reply.code === 354) place = 'data';
          else if (place === 'data') place = 'commands';
        }
      }),
      runs(100),
    );
  });

  it('property 5: no acceptance without an accepted answer', () => {
    const ACCEPTANCE = /^(?:250 2\.1\.|250 2\.0\.0 Accepted|235 )/;
    const CONTENT = /^(?:354 |250 2\.0\.0 Chunk OK)/;
    const transactional = new Set(['mail', 'rcpt', 'message', 'auth']);
    fc.assert(
      fc.property(octets, cuts, verdicts, (input, places, answerTo) => {
        const { outputs, answers } = converse(cutAt(input, places), answerTo, { ...OPTIONS, limits: LIMITS });
        const accepted = answers.filter(
          ({ question, answer }) => transactional.has(question) && answer.effect === 'accept',
        );
        expect(replies(outputs).filter((reply) => ACCEPTANCE.test(reply))).toHaveLength(accepted.length);
        if (replies(outputs).some((reply) => CONTENT.test(reply))) {
          expect(answers).toContainEqual({ question: 'data', answer: { effect: 'accept' } });
        }
      }),
      runs(100),
    );
  });

  it('property 5: an answer whose reply contradicts it is a bug, not a reply', () => {
    const session = new SmtpServerSession({ hostname: 'mx.test' });
    session.start();
    const reply = { code: 250, lines: ['yes'] };
    expect(() => session.receive({ kind: 'answer', to: 1, answer: { effect: 'refuse', reply } })).toThrow(
      'cannot be told',
    );
  });

  it('property 6: what is not offered changes nothing', () => {
    fc.assert(
      fc.property(
        smtpOctets,
        fc.constantFrom('STARTTLS\r\n', 'AUTH PLAIN AGEAYg==\r\n', 'XCLIENT ADDR=192.0.2.9\r\n'),
        verdicts,
        (input, line, answerTo) => {
          const text = input.toString('latin1').replace(/[^]*QUIT\r\n/g, '');
          const plain = converse([Buffer.from(text, 'latin1')], answerTo, { limits: LIMITS });
          const probed = converse([Buffer.from(line + text, 'latin1')], answerTo, { limits: LIMITS });
          const [banner, refusal, ...rest] = canonical(probed.outputs).slice(1);
          expect(refusal).toMatch(/^50[23] 5\.5\.1 /);
          expect([banner, ...rest]).toEqual(canonical(plain.outputs).slice(1));
        },
      ),
      runs(100),
    );
  });

  it('property 6: TLS forgets all that was said before it', () => {
    const judge: Judge = (_, { kind }) =>
      kind === 'auth' ? { effect: 'accept', identity: 'ann' } : { effect: 'accept' };
    const options = { ...OPTIONS, limits: LIMITS, startTls: true };
    fc.assert(
      fc.property(smtpOctets, octets, (before, after) => {
        const prologue = Buffer.concat([before, Buffer.from('RSET\r\nEHLO x.test\r\nSTARTTLS\r\n')]);
        const upgraded = converse([prologue, 'tls', after], judge, options);
        const at = upgraded.outputs.findIndex(({ kind }) => kind === 'start-tls');
        // A chunk that was begun before may have swallowed the command.
        fc.pre(upgraded.session.tls !== undefined && !before.includes('STARTTLS'));
        const fresh = converse([after], judge, { ...options, tls: TLS });
        const afterBanner = fresh.outputs.slice(fresh.outputs.findIndex(({ kind }) => kind === 'reply') + 1);
        expect(withoutIds(upgraded.outputs.slice(at + 1))).toEqual(withoutIds(afterBanner));
      }),
      runs(100),
    );
  });

  it('property 6: nothing in the clear is read behind STARTTLS', () => {
    const begin = Buffer.from('EHLO x.test\r\nSTARTTLS\r\n');
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 60 }), verdicts, (behind, answerTo) => {
        const judge: Judge = (id, question) =>
          question.kind === 'helo' ? { effect: 'accept' } : answerTo(id, question);
        const waiting = converse([Buffer.concat([begin, behind])], judge, { startTls: true });
        expect(canonical(waiting.outputs).slice(-2)).toEqual([
          '554 5.5.0 Wait for the reply before you go on\r\n',
          '{"kind":"close","reason":"protocol-error"}',
        ]);
        const later = converse([begin, Buffer.from(behind)], judge, { startTls: true });
        expect(canonical(later.outputs).slice(-3)).toEqual([
          '220 2.0.0 Ready to start TLS\r\n',
          '{"kind":"start-tls"}',
          '{"kind":"close","reason":"protocol-error"}',
        ]);
        expect([waiting, later].map(({ session }) => session.counters.commands)).toEqual([2, 2]);
      }),
      runs(100),
    );
  });

  it('property 7: what is held is bounded, whatever arrives while an answer is awaited', () => {
    fc.assert(
      fc.property(
        fc.array(smtpOctets, { maxLength: 40 }),
        fc.integer({ min: 1, max: 2000 }),
        (pieces, maxHeldBytes) => {
          const session = new SmtpServerSession({ hostname: 'mx.test', limits: { maxHeldBytes } });
          session.start();
          session.receive({ kind: 'answer', to: 1, answer: { effect: 'accept' } });
          session.receive({ kind: 'bytes', bytes: Buffer.from('EHLO client.test\r\n') });
          for (const piece of pieces) {
            session.receive({ kind: 'bytes', bytes: piece });
            expect(session.heldBytes).toBeLessThanOrEqual(maxHeldBytes);
          }
        },
      ),
      runs(100),
    );
  });

  it('property 7: an endless line and endless content are read without being held', () => {
    const { outputs, maxHeldBytes } = converse(
      Array.from({ length: 100 }, () => Buffer.alloc(65_536, 'x')),
      () => ({ effect: 'accept' }),
    );
    expect(maxHeldBytes).toBe(0);
    expect(outputs.filter(({ kind }) => kind === 'content')).toEqual([]);
  });
});
