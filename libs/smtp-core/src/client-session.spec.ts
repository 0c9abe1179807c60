import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { SmtpClientSession } from './client-session.js';
import type { ClientInput, ClientOutput, ClientSessionOptions } from './client-io.js';
import type { ClientTransaction } from './client-parameters.js';

const MODERN = '250-mx.test\r\n250-PIPELINING\r\n250-size 1000000\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n';

function transaction(name: string, recipients: readonly string[] = [`${name}@to.test`]): ClientTransaction {
  return { sender: `${name}@from.test`, recipients, sizeBytes: 10, body8bit: false };
}

/** Outputs as text, so that a whole conversation can be read. */
function show(outputs: readonly ClientOutput<ClientTransaction>[]): string[] {
  return outputs.map((output) => {
    switch (output.kind) {
      case 'write':
        return `C: ${output.text.trimEnd().replaceAll('\r\n', ' | ')}`;
      case 'content':
        return `content ${output.transaction.sender}`;
      case 'ready':
        return 'ready';
      case 'start-tls':
        return 'start-tls';
      case 'authenticate':
        return `authenticate ${output.mechanism} ${output.challenge?.toString() ?? 'start'}`;
      case 'failed':
        return `failed ${output.fault.stage} ${output.fault.reason} ${output.reply === undefined ? '' : String(output.reply.code)}`.trimEnd();
      case 'result':
        return `result ${output.transaction.sender} ${output.recipients
          .map(
            (result) =>
              `${result.stage}=${'reply' in result ? String(result.reply.code) : `${result.fault.reason}/${result.fault.progress}`}`,
          )
          .join(' ')}`;
      case 'close':
        return output.polite ? 'close politely' : 'close';
    }
  });
}

class Conversation {
  readonly session: SmtpClientSession;
  readonly lines: string[] = [];

  constructor(options: Partial<ClientSessionOptions> = {}) {
    this.session = new SmtpClientSession({ heloName: 'gw.test', ...options });
  }

  say(text: string): this {
    return this.receive({ kind: 'bytes', bytes: Buffer.from(text) });
  }

  receive(input: ClientInput): this {
    return this.note(this.session.receive(input));
  }

  submit(...transactions: ClientTransaction[]): this {
    for (const one of transactions) this.note(this.session.submit(one));
    return this;
  }

  note(outputs: readonly ClientOutput<ClientTransaction>[]): this {
    for (const output of outputs) if (output.kind === 'content') this.session.contentWritten(output.transaction);
    this.lines.push(...show(outputs));
    return this;
  }

  take(): string[] {
    return this.lines.splice(0);
  }
}

const greeted = (extensions = MODERN): Conversation => {
  const conversation = new Conversation().say('220 mx.test\r\n').say(extensions);
  conversation.take();
  return conversation;
};

describe('a greeting', () => {
  it('is EHLO, and what waits starts with it', () => {
    const conversation = new Conversation().submit(transaction('a')).say('220 mx.test\r\n');
    expect(conversation.take()).toEqual(['C: EHLO gw.test']);
    conversation.say(MODERN);
    expect(conversation.take()).toEqual(['ready', 'C: MAIL FROM:<a@from.test> SIZE=10 | RCPT TO:<a@to.test> | DATA']);
    expect(conversation.session.extensions).toMatchObject({
      pipelining: true,
      sizeBytes: 1_000_000,
      eightBitMime: true,
      chunking: false,
    });
  });

  it('falls back to HELO, without any extension', () => {
    const conversation = new Conversation()
      .say('220 x\r\n')
      .say('502 what\r\n')
      .say('250 hi\r\n')
      .submit(transaction('a'));
    expect(conversation.take()).toEqual(['C: EHLO gw.test', 'C: HELO gw.test', 'ready', 'C: MAIL FROM:<a@from.test>']);
  });

  it.each([
    ['554 no\r\n', 'failed banner refused 554'],
    ['250 hi\r\n', 'failed banner protocol'],
    ['rubbish\r\n', 'failed banner protocol'],
  ])('that says %j fails, and what waits is told', (banner, expected) => {
    expect(new Conversation().submit(transaction('a')).say(banner).take()).toEqual([
      expected,
      expect.stringMatching(/^result a@from.test mail=\w+\/none$/),
      'close',
    ]);
  });
});

describe('pipelining', () => {
  it('sends the next envelope with the content before it', () => {
    const conversation = greeted().submit(transaction('a'), transaction('b'), transaction('c'));
    expect(conversation.take()).toEqual(['C: MAIL FROM:<a@from.test> SIZE=10 | RCPT TO:<a@to.test> | DATA']);
    conversation.say('250 ok\r\n250 ok\r\n354 go\r\n');
    expect(conversation.take()).toEqual([
      'content a@from.test',
      'C: MAIL FROM:<b@from.test> SIZE=10 | RCPT TO:<b@to.test> | DATA',
    ]);
    conversation.say('250 a\r\n250 ok\r\n250 ok\r\n354 go\r\n');
    expect(conversation.take()).toEqual([
      'result a@from.test content=250',
      'content b@from.test',
      'C: MAIL FROM:<c@from.test> SIZE=10 | RCPT TO:<c@to.test> | DATA',
    ]);
    conversation.say('554 b\r\n');
    expect(conversation.take()).toEqual(['result b@from.test content=554']);
  });

  it('resets a transaction that the server still holds', () => {
    const conversation = greeted().submit(transaction('a'), transaction('b'));
    conversation.take();
    conversation.say('250 ok\r\n550 no\r\n503 none\r\n');
    expect(conversation.take()).toEqual([
      'result a@from.test rcpt=550',
      'C: RSET | MAIL FROM:<b@from.test> SIZE=10 | RCPT TO:<b@to.test> | DATA',
    ]);
  });

  it('ends a 354 nobody needs with a lone dot', () => {
    const conversation = greeted().submit(transaction('a'));
    conversation.take();
    conversation.say('250 ok\r\n550 no\r\n354 go\r\n');
    expect(conversation.take()).toEqual(['C: .']);
    conversation.say('554 nothing\r\n');
    expect(conversation.take()).toEqual(['result a@from.test rcpt=550']);
  });

  it('sends nothing to a server that wants the content of what it refused', () => {
    const conversation = greeted().submit(transaction('a'));
    conversation.take();
    conversation.say('451 no\r\n250 ok\r\n354 go\r\n');
    expect(conversation.take()).toEqual(['result a@from.test mail=451', 'close']);
  });

  it('loses only what was in flight, and says how far each had come', () => {
    const conversation = greeted().submit(
      transaction('a', ['x@to.test', 'y@to.test']),
      transaction('b'),
      transaction('c'),
    );
    conversation.say('250 ok\r\n250 ok\r\n550 no\r\n354 go\r\n');
    conversation.take();
    conversation.receive({ kind: 'eof' });
    expect(conversation.take()).toEqual([
      'result a@from.test content=lost/sent rcpt=550',
      'result b@from.test mail=lost/none',
      'result c@from.test mail=lost/none',
      'close',
    ]);
  });
});

describe('parameters', () => {
  const DSN = '250-mx.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 DSN\r\n';
  const asked: ClientTransaction = {
    ...transaction('a', ['x@to.test', 'y@to.test']),
    ret: 'HDRS',
    envelopeId: 'Q+2B7',
    recipientParameters: [{ notify: ['SUCCESS', 'DELAY'], originalRecipient: 'rfc822;x+2By@old.test' }, {}],
  };

  it('of DSN go to a server that offers it, as they came', () => {
    expect(greeted(DSN).submit(asked).take()).toEqual([
      'C: MAIL FROM:<a@from.test> RET=HDRS ENVID=Q+2B7 | RCPT TO:<x@to.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;x+2By@old.test | RCPT TO:<y@to.test> | DATA',
    ]);
    expect(greeted().submit(asked).take()).toEqual([
      'C: MAIL FROM:<a@from.test> SIZE=10 | RCPT TO:<x@to.test> | RCPT TO:<y@to.test> | DATA',
    ]);
  });

  it('that could end their command are left away', () => {
    const evil = {
      ...asked,
      envelopeId: 'x\r\nRSET',
      recipientParameters: [{ notify: ['NEVER\r\nQUIT'], originalRecipient: 'rfc822;a b' }],
    };
    expect(greeted(DSN).submit(evil).take()).toEqual([
      'C: MAIL FROM:<a@from.test> RET=HDRS | RCPT TO:<x@to.test> | RCPT TO:<y@to.test> | DATA',
    ]);
  });

  it('of SMTPUTF8: addresses and header in UTF-8 need it, a domain has another form', () => {
    const utf8 = { ...transaction('ä'), smtpUtf8: true };
    expect(greeted(DSN).submit(utf8).take()).toEqual([
      'C: MAIL FROM:<ä@from.test> SMTPUTF8 | RCPT TO:<ä@to.test> | DATA',
    ]);
    const bare = '250-mx.test\r\n250 PIPELINING\r\n';
    expect(greeted(bare).submit(utf8).take()).toEqual(['result ä@from.test mail=unsupported/none']);
    expect(
      greeted(bare)
        .submit(transaction('a', ['ä@to.test']))
        .take(),
    ).toEqual(['result a@from.test mail=unsupported/none']);
    expect(
      greeted(bare)
        .submit(transaction('a', ['x@bücher.test']))
        .take(),
    ).toEqual(['C: MAIL FROM:<a@from.test> | RCPT TO:<x@xn--bcher-kva.test> | DATA']);
    expect(
      greeted(bare)
        .submit({ ...transaction('a'), smtpUtf8: true })
        .take(),
    ).toEqual(['result a@from.test mail=unsupported/none']);
  });
});

describe('LMTP', () => {
  const lmtp = (): Conversation => {
    const conversation = new Conversation({ protocol: 'lmtp' }).say('220 mx.test\r\n');
    expect(conversation.take()).toEqual(['C: LHLO gw.test']);
    conversation.say('250-mx.test\r\n250 PIPELINING\r\n').take();
    return conversation;
  };

  it('has a reply to the content for every recipient that RCPT took', () => {
    const conversation = lmtp().submit(transaction('a', ['x@to.test', 'y@to.test', 'z@to.test']), transaction('b'));
    conversation.take();
    conversation.say('250 ok\r\n250 ok\r\n550 no\r\n250 ok\r\n354 go\r\n');
    expect(conversation.take()).toEqual([
      'content a@from.test',
      'C: MAIL FROM:<b@from.test> | RCPT TO:<b@to.test> | DATA',
    ]);
    expect(conversation.say('250 x\r\n').take()).toEqual([]);
    expect(conversation.say('452 full\r\n').take()).toEqual(['result a@from.test content=250 rcpt=550 content=452']);
    conversation.say('250 ok\r\n250 ok\r\n354 go\r\n').say('250 done\r\n');
    expect(conversation.take()).toEqual(['content b@from.test', 'result b@from.test content=250']);
  });

  it('that breaks off in the middle leaves only the unanswered ones uncertain', () => {
    const conversation = lmtp().submit(transaction('a', ['x@to.test', 'y@to.test']));
    conversation.say('250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n').say('250 x\r\n').take();
    expect(conversation.receive({ kind: 'eof' }).take()).toEqual([
      'result a@from.test content=250 content=lost/sent',
      'close',
    ]);
  });

  it('is never tried with HELO', () => {
    const conversation = new Conversation({ protocol: 'lmtp' }).say('220 x\r\n').say('500 what\r\n');
    expect(conversation.take()).toEqual(['C: LHLO gw.test', 'failed ehlo refused 500', 'close']);
  });
});

describe('one command at a time', () => {
  it('stops where going on is pointless', () => {
    const conversation = greeted('250 mx\r\n').submit(transaction('a', ['x@to.test', 'y@to.test']), transaction('b'));
    expect(conversation.take()).toEqual(['C: MAIL FROM:<a@from.test>']);
    expect(conversation.say('250 ok\r\n').take()).toEqual(['C: RCPT TO:<x@to.test>']);
    expect(conversation.say('550 no\r\n').take()).toEqual(['C: RCPT TO:<y@to.test>']);
    expect(conversation.say('450 no\r\n').take()).toEqual(['result a@from.test rcpt=550 rcpt=450', 'C: RSET']);
    expect(conversation.say('250 ok\r\n').take()).toEqual(['C: MAIL FROM:<b@from.test>']);
    expect(conversation.say('550 no\r\n').take()).toEqual(['result b@from.test mail=550']);
  });
});

describe('ending', () => {
  it('says QUIT after what is in flight, and gives the rest back', () => {
    const conversation = greeted().submit(transaction('a'), transaction('b'));
    conversation.take();
    conversation.note(conversation.session.quit());
    expect(conversation.take()).toEqual(['result b@from.test mail=closed/none']);
    conversation.say('250 ok\r\n250 ok\r\n354 go\r\n').say('250 done\r\n');
    expect(conversation.take()).toEqual(['content a@from.test', 'result a@from.test content=250', 'C: QUIT']);
    expect(conversation.say('221 bye\r\n').take()).toEqual(['close politely']);
    expect(conversation.submit(transaction('z')).take()).toEqual(['result z@from.test mail=closed/none']);
  });

  it('a content that cannot be produced is never terminated', () => {
    const conversation = greeted().submit(transaction('a'));
    conversation.note(conversation.session.receive({ kind: 'bytes', bytes: Buffer.from('250 ok\r\n250 ok\r\n') }));
    conversation.take();
    const outputs = conversation.session.receive({ kind: 'bytes', bytes: Buffer.from('354 go\r\n') });
    expect(show(outputs)).toEqual(['content a@from.test']);
    expect(show(conversation.session.contentFailed('disk error'))).toEqual([
      'result a@from.test content=content/content',
      'close',
    ]);
  });
});

describe('whatever the server says', () => {
  const said = fc.array(
    fc.constantFrom(
      '220 hi\r\n',
      '250 ok\r\n',
      MODERN,
      '354 go\r\n',
      '451 4.3.0 no\r\n',
      '550 5.1.1 no\r\n',
      '421 bye\r\n',
      '250-a\r\n',
      'x\r\n',
      '2',
    ),
    { maxLength: 25 },
  );
  it('every transaction gets exactly one result with every recipient, cut anywhere, and nothing is thrown', () => {
    fc.assert(
      fc.property(
        said,
        fc.integer({ min: 0, max: 4 }),
        fc.integer({ min: 1, max: 40 }),
        fc.boolean(),
        (replies, count, size, timesOut) => {
          const transcript = Buffer.from(replies.join(''));
          const run = (step: number): string[] => {
            const conversation = new Conversation();
            for (let at = 0; at < count; at += 1)
              conversation.submit(transaction(`t${String(at)}`, ['x@to.test', 'y@to.test']));
            for (let at = 0; at < transcript.length; at += step)
              conversation.receive({ kind: 'bytes', bytes: transcript.subarray(at, at + step) });
            conversation.receive(timesOut ? { kind: 'timeout' } : { kind: 'eof' });
            const results = conversation.lines.filter((line) => line.startsWith('result '));
            expect(results.map((line) => line.split(' ')[1]).sort()).toEqual(
              Array.from({ length: count }, (_, at) => `t${String(at)}@from.test`),
            );
            expect(results.every((line) => line.split(' ').length === 4)).toBe(true);
            expect(conversation.session.usable).toBe(false);
            return conversation.lines.filter((line) => !line.startsWith('C: '));
          };
          expect(run(size)).toEqual(run(transcript.length + 1));
        },
      ),
    );
  });
});
