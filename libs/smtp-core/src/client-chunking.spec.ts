import { describe, expect, it } from '@jest/globals';
import { SmtpClientSession } from './client-session.js';
import type { ClientOutput, ClientSessionOptions } from './client-io.js';
import type { ClientTransaction } from './client-parameters.js';

const OFFERS = ['PIPELINING', '8BITMIME', 'CHUNKING'];

function large(name: string, recipients: readonly string[] = ['x@to.test']): ClientTransaction {
  return { sender: `${name}@from.test`, recipients, sizeBytes: 1, exactBytes: 70_000, body8bit: false };
}

function small(name: string): ClientTransaction {
  return { ...large(name), exactBytes: 20 };
}

/** A greeted session, and what it put out since it was last asked, as text. */
class Conversation {
  readonly #session: SmtpClientSession;
  #lines: string[] = [];

  constructor(offers: readonly string[] = OFFERS, options: Partial<ClientSessionOptions> = {}) {
    this.#session = new SmtpClientSession({ heloName: 'gw.test', ...options });
    this.say('220 mx').say(
      ['250-mx', ...offers.slice(0, -1).map((word) => `250-${word}`), `250 ${offers.at(-1) ?? 'X'}`].join('\r\n'),
    );
    this.#lines = [];
  }

  submit(...transactions: readonly ClientTransaction[]): this {
    for (const one of transactions) this.#note(this.#session.submit(one));
    return this;
  }

  say(...replies: readonly string[]): this {
    return this.#note(
      this.#session.receive({ kind: 'bytes', bytes: Buffer.from(replies.map((reply) => `${reply}\r\n`).join('')) }),
    );
  }

  lose(): this {
    return this.#note(this.#session.receive({ kind: 'eof' }));
  }

  take(): string[] {
    return this.#lines.splice(0);
  }

  #note(outputs: readonly ClientOutput<ClientTransaction>[]): this {
    for (const output of outputs) {
      if (output.kind === 'write') this.#lines.push(...output.text.trimEnd().split('\r\n'));
      if (output.kind === 'content') {
        this.#session.contentWritten(output.transaction);
        this.#lines.push(`${output.chunked ? 'chunk' : 'stuffed'} of ${output.transaction.sender}`);
      }
      if (output.kind === 'result') {
        const told = output.recipients.map((result) =>
          'reply' in result
            ? `${result.stage} ${String(result.reply.code)}`
            : `${result.stage} ${result.fault.reason} ${result.fault.progress}`,
        );
        this.#lines.push(`${output.transaction.sender}: ${told.join(', ')}`);
      }
      if (output.kind === 'close') this.#lines.push('close');
    }
    return this;
  }
}

describe('BDAT', () => {
  it('carries the whole content as one last chunk, the next envelope behind it', () => {
    const conversation = new Conversation().submit(large('a'), large('b'));
    expect(conversation.take()).toEqual(['MAIL FROM:<a@from.test>', 'RCPT TO:<x@to.test>']);
    expect(conversation.say('250 ok', '250 ok').take()).toEqual([
      'BDAT 70000 LAST',
      'chunk of a@from.test',
      'MAIL FROM:<b@from.test>',
      'RCPT TO:<x@to.test>',
    ]);
    expect(conversation.say('250 queued', '250 ok', '250 ok').take()).toEqual([
      'a@from.test: content 250',
      'BDAT 70000 LAST',
      'chunk of b@from.test',
    ]);
    expect(conversation.say('452 4.3.1 full').take()).toEqual(['b@from.test: content 452']);
  });

  it('is for what is large or 8-bit, where it is offered and not switched off, and never in LMTP', () => {
    const used = (
      transaction: ClientTransaction,
      offers = OFFERS,
      options: Partial<ClientSessionOptions> = {},
    ): boolean => {
      const conversation = new Conversation(offers, options).submit(transaction);
      return !conversation.take().includes('DATA');
    };
    expect(used(large('a'))).toBe(true);
    expect(used(small('a'))).toBe(false);
    expect(used({ ...small('a'), body8bit: true })).toBe(true);
    expect(used(large('a'), ['PIPELINING'])).toBe(false);
    expect(used(large('a'), OFFERS, { chunking: false })).toBe(false);
    expect(used(large('a'), OFFERS, { protocol: 'lmtp' })).toBe(false);
    const { exactBytes, ...unsure } = large('a');
    expect([exactBytes, used(unsure)]).toEqual([70_000, false]);
  });

  it('goes to those who were accepted; where nobody was, no octet is sent and the transaction is reset', () => {
    const conversation = new Conversation().submit(large('a', ['x@to.test', 'y@to.test']), small('b'));
    conversation.take();
    expect(conversation.say('250 ok', '550 no', '250 ok').take().slice(0, 2)).toEqual([
      'BDAT 70000 LAST',
      'chunk of a@from.test',
    ]);
    const nobody = new Conversation().submit(large('a', ['x@to.test', 'y@to.test']), small('b'));
    nobody.take();
    expect(nobody.say('250 ok', '550 no', '451 later').take()).toEqual([
      'a@from.test: rcpt 550, rcpt 451',
      'RSET',
      'MAIL FROM:<b@from.test>',
      'RCPT TO:<x@to.test>',
      'DATA',
    ]);
    const refused = new Conversation().submit(large('a'), small('b'));
    refused.take();
    expect(refused.say('550 not you', '503 no MAIL').take()).toEqual([
      'a@from.test: mail 550',
      'MAIL FROM:<b@from.test>',
      'RCPT TO:<x@to.test>',
      'DATA',
    ]);
  });

  it('one command at a time where the server does not pipeline', () => {
    const conversation = new Conversation(['CHUNKING']).submit(large('a'), small('b'));
    expect(conversation.take()).toEqual(['MAIL FROM:<a@from.test>']);
    expect(conversation.say('250 ok').take()).toEqual(['RCPT TO:<x@to.test>']);
    expect(conversation.say('250 ok').take()).toEqual(['BDAT 70000 LAST', 'chunk of a@from.test']);
    expect(conversation.say('250 queued').take()).toEqual(['a@from.test: content 250', 'MAIL FROM:<b@from.test>']);
  });

  it('is uncertain once the last octet left, and not before', () => {
    const sent = new Conversation().submit(large('a'), large('b')).say('250 ok', '250 ok');
    sent.take();
    expect(sent.lose().take()).toEqual(['a@from.test: content lost sent', 'b@from.test: mail lost none', 'close']);
    const before = new Conversation().submit(large('a')).say('250 ok');
    before.take();
    expect(before.lose().take()).toEqual(['a@from.test: rcpt lost envelope', 'close']);
  });

  it('never follows a 421, nor an acceptance that makes no sense', () => {
    const ended = new Conversation().submit(large('a', ['x@to.test', 'y@to.test']));
    ended.take();
    expect(ended.say('250 ok', '250 ok', '421 bye').take()).toEqual(['a@from.test: rcpt 421, rcpt 421', 'close']);
    const muddled = new Conversation().submit(large('a'));
    muddled.take();
    expect(muddled.say('550 no', '250 ok').take()).toEqual(['a@from.test: mail 550', 'close']);
  });
});
