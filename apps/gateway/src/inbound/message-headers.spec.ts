import { describe, expect, it } from '@jest/globals';
import { readMessageHeaders } from './message-headers.js';

const read = (text: string): ReturnType<typeof readMessageHeaders> => readMessageHeaders(Buffer.from(text, 'utf8'));

describe('message headers', () => {
  it('finds the fields the audit names, whatever their case', () => {
    expect(read('mEssage-ID: <1@a.test>\r\nFROM: Ann <ann@a.test>\r\nsubject : hello\r\n\r\nbody')).toEqual({
      messageId: '<1@a.test>',
      from: 'Ann <ann@a.test>',
      subject: 'hello',
      receivedCount: 0,
    });
  });

  it('unfolds and keeps only the first of a repeated field', () => {
    const headers = read('Subject: one\r\n\ttwo\r\n three\r\nSubject: other\r\n\r\n');
    expect(headers.subject).toBe('one two three');
  });

  it('counts Received fields of the header, not of the body', () => {
    const trace = 'Received: from a by b\r\n  with SMTP; now\r\n'.repeat(3);
    expect(read(`${trace}\r\nReceived: not this one\r\n`).receivedCount).toBe(3);
  });

  it.each(['', '\r\n', 'no colon here', 'Subject', 'Subject:', '\r\n\r\n', ' folded first\r\n', '\n\n\n'])(
    'answers something for %j',
    (text) => {
      expect(read(text).receivedCount).toBe(0);
    },
  );

  it('replaces control characters and cuts long values', () => {
    const { subject } = read(`Subject: a\u001b[31mb${'x'.repeat(2000)}\r\n\r\n`);
    expect(subject).toMatch(/^a \[31mbx+$/);
    expect(subject).toHaveLength(512);
  });

  it('looks no further than its window', () => {
    const padding = 'X-Padding: x\r\n'.repeat(6000);
    expect(read(`${padding}Subject: late\r\n\r\n`).subject).toBeUndefined();
  });
});
