import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { AttemptStage } from './attempt-outcome.js';
import { limitText, outcomeOf } from './attempt-outcome.js';

const seen = (stage: AttemptStage, code: number, enhanced?: string, nextHostOn?: number[]): string => {
  const outcome = outcomeOf(
    { stage, reply: { code, lines: ['text'], ...(enhanced === undefined ? {} : { enhanced }) } },
    nextHostOn,
  );
  return `${outcome.effect} ${outcome.status}${outcome.nextHost ? ' next host' : ''}`;
};

describe('a reply', () => {
  it.each([
    [['content', 250, '2.6.0'], 'delivered 2.6.0'],
    [['content', 250], 'delivered 2.0.0'],
    [['rcpt', 550, '5.1.1'], 'permanent 5.1.1'],
    [['rcpt', 550], 'permanent 5.0.0'],
    [['rcpt', 450, '4.2.0'], 'temporary 4.2.0 next host'],
    [['rcpt', 552, '5.2.2'], 'permanent 5.2.2'],
    [['rcpt', 552], 'temporary 4.0.0 next host'],
    [['content', 552], 'permanent 5.0.0'],
    [['banner', 554, '5.3.2'], 'temporary 4.0.0 next host'],
    [['ehlo', 550], 'temporary 4.0.0 next host'],
    [['content', 354], 'temporary 4.0.0 next host'],
    [['mail', 550, '5.7.1', [550]], 'permanent 5.7.1 next host'],
  ] as [Parameters<typeof seen>, string][])('%j', (reply, expected) => expect(seen(...reply)).toBe(expected));
});

describe('a fault', () => {
  it('is temporary by its code, and uncertain once the terminator was sent', () => {
    const fault = { enhanced: '4.4.2', message: 'connection lost', progress: 'content' as const };
    expect(outcomeOf({ stage: 'content', fault })).toMatchObject({
      effect: 'temporary',
      uncertain: false,
      nextHost: true,
    });
    expect(outcomeOf({ stage: 'content', fault: { ...fault, progress: 'sent' } })).toMatchObject({
      effect: 'temporary',
      uncertain: true,
      nextHost: false,
    });
    expect(outcomeOf({ stage: 'dns', fault: { ...fault, enhanced: '5.1.10' } })).toMatchObject({
      effect: 'permanent',
      nextHost: false,
    });
  });
});

describe('text for the audit', () => {
  it('is at most 512 octets of whole characters without controls', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 900 }), (text) => {
        const limited = limitText(text);
        expect(Buffer.byteLength(limited)).toBeLessThanOrEqual(512);
        expect(limited).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/);
        expect(limited.includes('\ufffd')).toBe(
          Buffer.from(text).toString().includes('\ufffd') && limited.includes('\ufffd'),
        );
      }),
    );
  });
});
