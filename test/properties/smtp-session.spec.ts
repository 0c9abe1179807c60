import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { SmtpServerSession, encodeReply } from '#smtp-core';
import type { SessionOutput } from '#smtp-core';
import {
  canonical,
  converse,
  cutAt,
  cuts,
  smtpContentOctets,
  smtpOctets,
  verdicts,
} from '../support/smtp-arbitraries.js';

const octets = fc.oneof(smtpOctets, smtpContentOctets);
const LIMITS = {
  maxMessageBytes: 300,
  maxSwallowedBytes: 100_000,
  maxErrors: 1000,
  maxIdleCommands: 1000,
  maxCommandLineBytes: 512,
};

function replies(outputs: readonly SessionOutput[]): readonly string[] {
  return outputs.flatMap((output) => (output.kind === 'reply' ? [encodeReply(output.reply)] : []));
}

describe('the inbound machine', () => {
  it('property 1: any split gives the same conversation', () => {
    fc.assert(
      fc.property(octets, cuts, verdicts, fc.boolean(), (input, places, answerTo, late) => {
        const whole = converse([input], answerTo, { limits: LIMITS });
        const cut = converse(cutAt(input, places), answerTo, { limits: LIMITS, late });
        expect(canonical(cut.outputs)).toEqual(canonical(whole.outputs));
        const bytes = converse(
          cutAt(
            input,
            Array.from(input, (_, at) => at),
          ),
          answerTo,
          { limits: LIMITS },
        );
        expect(canonical(bytes.outputs)).toEqual(canonical(whole.outputs));
      }),
      { numRuns: 300 },
    );
  });

  it('property 2: garbage is answered, never thrown', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2000 }), cuts, verdicts, (bytes, places, answerTo) => {
        const { session, outputs } = converse(cutAt(Buffer.from(bytes), places), answerTo);
        expect(session.awaits).toBe('nothing');
        expect(outputs.at(-1)?.kind).toBe('close');
      }),
    );
  });

  it('property 3: one reply per command, in order, none after close', () => {
    fc.assert(
      fc.property(octets, cuts, verdicts, (input, places, answerTo) => {
        const { session, outputs } = converse(cutAt(input, places), answerTo, { limits: LIMITS });
        const contentsEnded = outputs.filter(
          (output) =>
            (output.kind === 'ask' && output.question.kind === 'message') ||
            (output.kind === 'transaction-ended' && output.why === 'content-refused'),
        );
        expect(replies(outputs)).toHaveLength(1 + session.counters.commands + contentsEnded.length);
        expect(outputs.findIndex(({ kind }) => kind === 'close')).toBe(outputs.length - 1);
        expect(session.receive({ kind: 'bytes', bytes: Buffer.from('NOOP\r\n') })).toEqual([]);
      }),
    );
  });

  it('property 4: content only between 354 and the terminator', () => {
    fc.assert(
      fc.property(octets, cuts, verdicts, (input, places, answerTo) => {
        let inContent = false;
        for (const output of converse(cutAt(input, places), answerTo, { limits: LIMITS }).outputs) {
          if (output.kind === 'content') expect(inContent).toBe(true);
          else if (output.kind === 'reply') inContent = output.reply.code === 354;
          else inContent = false;
        }
      }),
    );
  });

  it('property 5: no acceptance without an accepted answer', () => {
    const ACCEPTANCE = /^(?:250 2\.1\.|354 |250 2\.0\.0 Accepted)/;
    const transactional = new Set(['mail', 'rcpt', 'data', 'message']);
    fc.assert(
      fc.property(octets, cuts, verdicts, (input, places, answerTo) => {
        const { outputs, answers } = converse(cutAt(input, places), answerTo, { limits: LIMITS });
        const accepted = answers.filter(
          ({ question, answer }) => transactional.has(question) && answer.effect === 'accept',
        );
        expect(replies(outputs).filter((reply) => ACCEPTANCE.test(reply))).toHaveLength(accepted.length);
      }),
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
        fc.constantFrom('STARTTLS\r\n', 'AUTH PLAIN AGEAYg==\r\n'),
        verdicts,
        (input, line, answerTo) => {
          const text = input.toString('latin1').replace(/[^]*QUIT\r\n/g, '');
          const plain = converse([Buffer.from(text, 'latin1')], answerTo, { limits: LIMITS });
          const probed = converse([Buffer.from(line + text, 'latin1')], answerTo, { limits: LIMITS });
          const [banner, refusal, ...rest] = canonical(probed.outputs).slice(1);
          expect(refusal).toBe('502 5.5.1 Command not implemented\r\n');
          expect([banner, ...rest]).toEqual(canonical(plain.outputs).slice(1));
        },
      ),
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
