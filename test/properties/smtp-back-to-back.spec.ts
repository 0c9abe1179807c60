import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { SmtpServerSession, printForwardPath, printReversePath } from '#smtp-core';
import { BackToBack } from '../support/back-to-back.js';
import type { ReceivedMessage, SentMessage, Wiring } from '../support/back-to-back.js';
import { runs } from '../support/fuzz.js';

const line = fc.oneof(
  fc.constantFrom(
    '',
    '.',
    '..',
    '.a',
    '...',
    'MAIL FROM:<evil@x.test>',
    'BDAT 5 LAST',
    'QUIT',
    ' ',
    '\t',
    'x'.repeat(2000),
  ),
  fc.stringMatching(/^[\x20-\x7e]{0,40}$/),
  fc.stringMatching(/^[\x20-\x7e\x80-\xff]{0,40}$/),
);
const content = fc
  .tuple(fc.array(line, { maxLength: 12 }), fc.boolean())
  .map(([lines, ended]) => Buffer.from(lines.join('\r\n') + (ended && lines.length > 0 ? '\r\n' : ''), 'latin1'));
const localPart = fc.constantFrom('a', 'b.c', '"x y"', '"q\\"q"', 'jürgen', "o'neil+tag", '"@"');
const domain = fc.constantFrom('client.test', 'xn--mller-kva.test', '[192.0.2.1]', '[IPv6:2001:db8::1]');
const address = fc.tuple(localPart, domain).map((parts) => parts.join('@'));
const recipientParameters = fc.constantFrom(
  {},
  { notify: ['NEVER'] },
  { notify: ['SUCCESS', 'DELAY'], originalRecipient: 'rfc822;b+2Bc@mx.test' },
  { originalRecipient: 'utf-8;j\\x{FC}rgen@mx.test' },
);
const message: fc.Arbitrary<SentMessage> = fc
  .record({
    sender: fc.oneof(fc.constant(''), address),
    addressees: fc.array(fc.tuple(address, recipientParameters), { minLength: 1, maxLength: 4 }),
    content,
    dsn: fc.constantFrom({}, { ret: 'FULL' as const }, { ret: 'HDRS' as const, envelopeId: 'id+2B1' }),
  })
  .map(({ sender, addressees, content: octets, dsn }) => ({
    sender,
    recipients: addressees.map(([recipient]) => recipient),
    recipientParameters: addressees.map(([, parameters]) => parameters),
    content: octets,
    sizeBytes: octets.length,
    body8bit: octets.some((octet) => octet > 127),
    ...dsn,
  }));
const pieces = fc.array(fc.integer({ min: 1, max: 3000 }), { minLength: 1, maxLength: 7 });
const session = fc.constantFrom<Omit<Wiring, 'pieces'>>(
  {},
  { server: { startTls: true }, client: { startTls: 'required' } },
  { server: { smtpUtf8: true, chunking: false } },
);

/** What must have arrived when `sent` was accepted whole. */
function arrived(sent: SentMessage): object {
  const octets = sent.content;
  const ends = octets.length === 0 || octets.subarray(-2).equals(Buffer.from('\r\n'));
  return {
    sender: `<${sent.sender}>`,
    recipients: sent.recipients.map((recipient) => `<${recipient}>`),
    content: octets.toString('latin1') + (ends ? '' : '\r\n'),
    parameters: sent.recipientParameters ?? [],
    ret: sent.ret,
    envelopeId: sent.envelopeId,
  };
}

function seen(received: ReceivedMessage): object {
  return {
    sender: printReversePath(received.sender),
    recipients: received.recipients.map(({ path }) => printForwardPath(path)),
    content: received.content.toString('latin1'),
    parameters: received.recipients.map(({ params }) => params),
    ret: received.params.ret,
    envelopeId: received.params.envelopeId,
  };
}

describe('both machines, wired back to back', () => {
  it('property 8: any message is delivered unchanged, however the octets are cut', () => {
    fc.assert(
      fc.property(fc.array(message, { minLength: 1, maxLength: 4 }), pieces, session, (messages, cuts, wiring) => {
        const wire = new BackToBack({ ...wiring, pieces: cuts });
        wire.run(messages);
        expect(wire.received.map(seen)).toEqual(messages.map(arrived));
        expect(wire.results.flat().map((result) => ('reply' in result ? result.reply.code : result.fault))).toEqual(
          messages.flatMap(({ recipients }) => recipients.map(() => 250)),
        );
      }),
      runs(300),
    );
  });

  it('property 8: what is refused for some recipients reaches the others unchanged', () => {
    fc.assert(
      fc.property(fc.array(message, { minLength: 1, maxLength: 3 }), pieces, (messages, cuts) => {
        const reply = { code: 550, enhanced: '5.1.1', lines: ['No such user'] };
        const wire = new BackToBack({
          pieces: cuts,
          judge: (question) =>
            question.kind === 'rcpt' && printForwardPath(question.forwardPath).startsWith('<b.c@')
              ? { effect: 'refuse', reply }
              : undefined,
        });
        wire.run(messages);
        const wanted = messages.map((sent) => sent.recipients.filter((recipient) => !recipient.startsWith('b.c@')));
        expect(wire.received.map(({ recipients }) => recipients.length)).toEqual(
          wanted.map(({ length }) => length).filter((length) => length > 0),
        );
        expect(wire.results.flat().filter((result) => 'reply' in result && result.reply.code === 550)).toHaveLength(
          messages.flatMap(({ recipients }) => recipients).length - wanted.flat().length,
        );
      }),
      runs(100),
    );
  });

  it('property 8: content that came by BDAT goes out by DATA as it came', () => {
    fc.assert(
      fc.property(content, pieces, pieces, (octets, chunks, cuts) => {
        const taken = receiveByChunks(octets, chunks);
        const sent = {
          sender: '',
          recipients: ['b@mx.test'],
          content: taken,
          sizeBytes: taken.length,
          body8bit: false,
        };
        const wire = new BackToBack({ pieces: cuts });
        wire.run([sent]);
        expect(wire.received.map((received) => received.content)).toEqual([taken]);
        const withEnd = octets.length === 0 || octets.toString('latin1').endsWith('\r\n') ? '' : '\r\n';
        expect(taken.toString('latin1')).toBe(octets.toString('latin1') + withEnd);
      }),
      runs(100),
    );
  });

  it('AUTH and STARTTLS on the way change nothing', () => {
    const wire = new BackToBack({
      pieces: [3],
      server: { startTls: true, auth: { mechanisms: ['PLAIN'] }, authRequired: true },
      client: { startTls: 'required', authMechanisms: ['PLAIN'] },
    });
    const octets = Buffer.from('Subject: x\r\n\r\n.\r\n');
    wire.run([{ sender: '', recipients: ['b@mx.test'], content: octets, sizeBytes: octets.length, body8bit: false }]);
    expect(wire.received.map(({ content: got }) => got.toString())).toEqual(['Subject: x\r\n\r\n.\r\n']);
    expect(wire.server.auth).toEqual({ identity: 'ann', mechanism: 'PLAIN' });
  });
});

/** What a server that is sent `octets` in chunks of these sizes has in the end. */
function receiveByChunks(octets: Buffer, sizes: readonly number[]): Buffer {
  const server = new SmtpServerSession({ hostname: 'mx.test' });
  const kept: Buffer[] = [];
  const take = (outputs: ReturnType<typeof server.receive>): void => {
    for (const output of outputs) {
      if (output.kind === 'content') kept.push(Buffer.from(output.bytes));
      if (output.kind === 'ask') take(server.receive({ kind: 'answer', to: output.id, answer: { effect: 'accept' } }));
    }
  };
  const say = (bytes: Buffer): void => {
    take(server.receive({ kind: 'bytes', bytes }));
  };
  take(server.start());
  say(Buffer.from('EHLO c.test\r\n'));
  say(Buffer.from('MAIL FROM:<>\r\nRCPT TO:<b@mx.test>\r\n'));
  for (let at = 0, chunk = 0; at < octets.length; chunk += 1) {
    const size = Math.min(sizes[chunk % sizes.length] ?? 1, octets.length - at);
    say(Buffer.concat([Buffer.from(`BDAT ${String(size)}\r\n`), octets.subarray(at, at + size)]));
    at += size;
  }
  say(Buffer.from('BDAT 0 LAST\r\n'));
  return Buffer.concat(kept);
}
