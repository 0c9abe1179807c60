import { afterEach, describe, expect, it } from '@jest/globals';
import { ForeignMx } from '../../../test/support/foreign-mx.js';
import type { MxScript, MxStep } from '../../../test/support/foreign-mx.js';
import { connectSmtp, SmtpConnectFault } from './index.js';
import type { SmtpConnection, SmtpMessage, SmtpTimeouts } from './index.js';

const CONTENT = Buffer.from('Subject: hi\r\n\r\n.dot\r\nbody\r\n');
const SHORT: Partial<SmtpTimeouts> = {
  connectMs: 2000,
  bannerMs: 150,
  ehloMs: 150,
  mailMs: 150,
  rcptMs: 150,
  dataMs: 150,
  blockMs: 150,
  contentMs: 150,
  quitMs: 150,
};

const open: { mx: ForeignMx; connections: SmtpConnection[] }[] = [];

async function foreign(
  script: MxScript = {},
): Promise<{ mx: ForeignMx; connect: (timeouts?: Partial<SmtpTimeouts>) => Promise<SmtpConnection> }> {
  const entry = { mx: await ForeignMx.listen(script), connections: [] as SmtpConnection[] };
  open.push(entry);
  return {
    mx: entry.mx,
    connect: async (timeouts = SHORT) => {
      const connection = await connectSmtp({
        host: 'mx.foreign.test',
        address: '127.0.0.1',
        port: entry.mx.port,
        heloName: 'gw.test',
        timeouts,
      });
      entry.connections.push(connection);
      return connection;
    },
  };
}

function message(overrides: Partial<SmtpMessage> = {}): SmtpMessage {
  return {
    sender: 'a@here.test',
    recipients: ['b@there.test'],
    content: CONTENT,
    sizeBytes: CONTENT.length,
    body8bit: false,
    ...overrides,
  };
}

/** `stage code` or `stage fault reason progress`, per recipient. */
async function told(connection: SmtpConnection, sent: SmtpMessage = message()): Promise<string[]> {
  const { recipients } = await connection.send(sent);
  return recipients.map((result) =>
    'reply' in result
      ? `${result.stage} ${String(result.reply.code)}`
      : `${result.stage} ${result.fault.reason} ${result.fault.progress}`,
  );
}

afterEach(async () => {
  for (const { mx, connections } of open.splice(0)) {
    for (const connection of connections) connection.destroy();
    await mx.close();
  }
});

describe('a well-behaved next hop', () => {
  it('gets the content byte for byte, dots included, and the connection is kept', async () => {
    const { mx, connect } = await foreign();
    const connection = await connect();
    expect(await told(connection)).toEqual(['content 250']);
    expect(await told(connection, message({ content: Buffer.alloc(0), sizeBytes: 0 }))).toEqual(['content 250']);
    expect(mx.connections).toBe(1);
    expect(mx.accepted.map((transaction) => transaction.content.toString())).toEqual([CONTENT.toString(), '']);
    expect(connection.completed).toBe(2);
    await connection.quit();
    expect(mx.commands.at(-1)).toBe('QUIT');
    expect(connection.usable).toBe(false);
  });

  it('answers several transactions sent without waiting, in order', async () => {
    const { mx, connect } = await foreign();
    const connection = await connect();
    const sent = Array.from({ length: 50 }, (_, at) =>
      told(connection, message({ recipients: [`r${String(at)}@there.test`] })),
    );
    expect((await Promise.all(sent)).flat()).toEqual(new Array<string>(50).fill('content 250'));
    expect(mx.accepted.map((transaction) => transaction.recipients[0])).toEqual(
      Array.from({ length: 50 }, (_, at) => `r${String(at)}@there.test`),
    );
  });

  it('streams large content, stuffed, with small content behind it', async () => {
    const { mx, connect } = await foreign();
    const connection = await connect({});
    const line = '.'.repeat(70) + '\r\n';
    const large = Buffer.from(line.repeat(40_000));
    async function* parts(): AsyncIterable<Uint8Array> {
      for (let at = 0; at < large.length; at += 9973) yield await Promise.resolve(large.subarray(at, at + 9973));
    }
    const results = await Promise.all([
      told(connection, message({ content: large, sizeBytes: large.length })),
      told(connection, message({ content: parts(), sizeBytes: large.length })),
      told(connection),
    ]);
    expect(results.flat()).toEqual(['content 250', 'content 250', 'content 250']);
    expect(mx.accepted.map((transaction) => transaction.content.length)).toEqual([
      large.length,
      large.length,
      CONTENT.length,
    ]);
    expect(mx.accepted[1]!.content.equals(large)).toBe(true);
  });

  it('works without any extension, after EHLO was refused', async () => {
    const { mx, connect } = await foreign({ at: { ehlo: '502 5.5.1 No EHLO here\r\n' } });
    const connection = await connect();
    expect(connection.extensions.pipelining).toBe(false);
    expect(await told(connection, message({ recipients: ['b@t.test', 'c@t.test'] }))).toEqual([
      'content 250',
      'content 250',
    ]);
    expect(await told(connection)).toEqual(['content 250']);
    expect(mx.commands).toEqual([
      'EHLO gw.test',
      'HELO gw.test',
      'MAIL FROM:<a@here.test>',
      'RCPT TO:<b@t.test>',
      'RCPT TO:<c@t.test>',
      'DATA',
      'MAIL FROM:<a@here.test>',
      'RCPT TO:<b@there.test>',
      'DATA',
    ]);
  });
});

describe('replies per recipient', () => {
  const mixed: MxScript = {
    at: {
      rcpt: ({ line }) =>
        line.includes('bad')
          ? '550 5.1.1 No such user\r\n'
          : line.includes('later')
            ? '451 4.2.1 Later\r\n'
            : undefined,
    },
  };
  it.each([
    ['pipelined', ['PIPELINING']],
    ['one by one', []],
  ])('are told apart, %s', async (_name, extensions) => {
    const { mx, connect } = await foreign({ ...mixed, extensions });
    const connection = await connect();
    const sent = message({ recipients: ['ok@t.test', 'bad@t.test', 'later@t.test'] });
    expect(await told(connection, sent)).toEqual(['content 250', 'rcpt 550', 'rcpt 451']);
    expect(await told(connection, message({ recipients: ['bad@t.test'] }))).toEqual(['rcpt 550']);
    expect(await told(connection)).toEqual(['content 250']);
    expect(mx.accepted.length).toBe(2);
    expect(mx.commands.filter((command) => command === 'RSET').length).toBe(1);
  });

  it('ends a 354 without recipients by a lone dot, and sends no content', async () => {
    const { mx, connect } = await foreign({
      at: { rcpt: '550 5.1.1 No\r\n', data: '354 Go on\r\n', content: '554 5.5.1 No recipients\r\n' },
    });
    const connection = await connect();
    expect(await told(connection)).toEqual(['rcpt 550']);
    expect(mx.transactions[0]!.content.length).toBe(0);
  });

  it('keeps refusals of RCPT when DATA or the content is refused', async () => {
    const { connect } = await foreign({ ...mixed, at: { ...mixed.at, content: '554 5.7.1 Spam\r\n' } });
    expect(await told(await connect(), message({ recipients: ['ok@t.test', 'bad@t.test'] }))).toEqual([
      'content 554',
      'rcpt 550',
    ]);
  });
});

describe('a misbehaving next hop', () => {
  const hang: MxStep = { kind: 'hang' };
  const drop: MxStep = { kind: 'drop' };
  const cases: [string, MxScript, string][] = [
    ['4xx at MAIL', { at: { mail: '451 4.3.0 Busy\r\n' } }, 'mail 451'],
    ['5xx at MAIL', { at: { mail: '550 5.7.1 No\r\n' } }, 'mail 550'],
    ['4xx at DATA', { at: { data: '451 4.3.0 Busy\r\n' } }, 'data 451'],
    ['5xx at DATA', { at: { data: '554 5.5.0 No\r\n' } }, 'data 554'],
    ['4xx after the dot', { at: { content: '452 4.3.1 Full\r\n' } }, 'content 452'],
    ['5xx after the dot', { at: { content: '554 5.6.0 No\r\n' } }, 'content 554'],
    ['421 at MAIL', { at: { mail: '421 4.3.2 Going\r\n' } }, 'mail 421'],
    ['421 after the dot', { at: { content: '421 4.3.2 Going\r\n' } }, 'content 421'],
    ['250 instead of 354', { at: { data: '250 Sure\r\n' } }, 'data protocol envelope'],
    ['354 at RCPT', { at: { rcpt: '354 What\r\n' } }, 'rcpt protocol envelope'],
    ['354 after the dot', { at: { content: '354 More\r\n' } }, 'content protocol sent'],
    ['hang at MAIL', { at: { mail: hang } }, 'mail timeout none'],
    ['hang at RCPT', { at: { rcpt: hang } }, 'rcpt timeout envelope'],
    ['hang at DATA', { at: { data: hang } }, 'data timeout envelope'],
    ['hang after the dot', { at: { content: hang } }, 'content timeout sent'],
    ['disconnect at MAIL', { at: { mail: drop } }, 'mail lost none'],
    ['disconnect at RCPT', { at: { rcpt: drop } }, 'mail lost none'],
    ['reset at DATA', { at: { data: { kind: 'reset' } } }, 'mail lost none'],
    ['disconnect after the dot', { at: { content: drop } }, 'content lost sent'],
    ['a reply that is none', { at: { mail: 'hello there\r\n' } }, 'mail protocol none'],
    ['a line without end', { at: { mail: '250 ' + 'x'.repeat(10_000) } }, 'mail protocol none'],
    ['a reply of 5000 lines', { at: { mail: '250-x\r\n'.repeat(5000) } }, 'mail protocol none'],
    ['codes that differ', { at: { mail: '250-a\r\n550 b\r\n' } }, 'mail protocol none'],
    [
      'a reply in pieces',
      { at: { content: { kind: 'split', parts: ['2', '5', '0-', 'a\r', '\n25', '0 ', 'b\r\n'] } } },
      'content 250',
    ],
    ['bare LF in replies', { at: { mail: '250 ok\n' } }, 'content 250'],
    ['two replies for one command', { at: { content: '250 ok\r\n250 again\r\n' } }, 'content 250'],
  ];
  it.each(cases)('%s', async (_name, script, expected) => {
    const { connect } = await foreign(script);
    const connection = await connect();
    const [said] = await told(connection);
    // Replies written before a disconnect may or may not arrive: the stage may be a later one.
    if (expected.includes(' lost none') || expected === 'mail lost none')
      expect(said).toMatch(/^(mail|rcpt|data) lost (none|envelope)$/);
    else expect(said).toBe(expected);
  });

  it('replaces control characters in replies', async () => {
    const { connect } = await foreign({ at: { mail: '550 5.7.1 a\u001b[31mb\u0000c\rd\u009b\r\n' } });
    const { recipients } = await (await connect()).send(message());
    expect(recipients[0]).toMatchObject({ reply: { code: 550, enhanced: '5.7.1', lines: ['a?[31mb?c?d\ufffd'] } });
  });

  it('a slow reader is given up while content is streamed', async () => {
    const { connect } = await foreign({ duringContent: { afterBytes: 1, step: { kind: 'stop-reading' } } });
    const large = Buffer.from(('x'.repeat(70) + '\r\n').repeat(400_000));
    expect(await told(await connect(), message({ content: large, sizeBytes: large.length }))).toEqual([
      'content timeout content',
    ]);
  });

  it('a refusal in the middle of the content is believed and ends the connection', async () => {
    const step: MxStep = { kind: 'say-and-drop', text: '452 4.3.1 Full\r\n' };
    const { connect } = await foreign({ duringContent: { afterBytes: 100_000, step } });
    const large = Buffer.from(('x'.repeat(70) + '\r\n').repeat(400_000));
    const connection = await connect();
    const [said] = await told(connection, message({ content: large, sizeBytes: large.length }));
    // A reset may overtake the reply on its way; both are temporary.
    expect(['content 452', 'content lost content']).toContain(said);
    expect(connection.usable).toBe(false);
  });

  it('closes after a number of messages: what was not begun comes back unsent', async () => {
    const { mx, connect } = await foreign({
      at: { mail: ({ completed }) => (completed >= 2 ? '421 4.7.0 Enough\r\n' : undefined) },
    });
    const connection = await connect();
    const results = (await Promise.all([1, 2, 3, 4].map(() => told(connection)))).flat();
    expect(results.slice(0, 3)).toEqual(['content 250', 'content 250', 'mail 421']);
    expect(results[3]).toBe('mail closed none');
    expect(mx.accepted.length).toBe(2);
  });
});

describe('greeting', () => {
  const cases: [string, MxScript, string, number | undefined][] = [
    ['554 banner', { at: { banner: '554 5.3.2 No service\r\n' } }, 'banner', 554],
    ['421 banner', { at: { banner: '421 4.3.2 Later\r\n' } }, 'banner', 421],
    ['silent banner', { at: { banner: { kind: 'hang' } } }, 'banner', undefined],
    ['endless banner', { at: { banner: '220-x\r\n'.repeat(100_000) } }, 'banner', undefined],
    ['not SMTP at all', { at: { banner: 'SSH-2.0-OpenSSH\r\n' } }, 'banner', undefined],
    ['disconnect before the banner', { at: { banner: { kind: 'drop' } } }, 'banner', undefined],
    ['4xx to EHLO', { at: { ehlo: '450 4.7.1 Who\r\n' } }, 'ehlo', 450],
    ['HELO refused too', { at: { ehlo: '502 No\r\n', helo: '550 5.7.1 Go away\r\n' } }, 'ehlo', 550],
    ['hang at EHLO', { at: { ehlo: { kind: 'hang' } } }, 'ehlo', undefined],
  ];
  it.each(cases)('%s', async (_name, script, stage, code) => {
    const { connect } = await foreign(script);
    const error: unknown = await connect().then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(SmtpConnectFault);
    expect(error).toMatchObject({ stage });
    expect((error as SmtpConnectFault).reply?.code).toBe(code);
  });

  it('a port nobody listens on', async () => {
    const { mx } = await foreign();
    const { port } = mx;
    await mx.close();
    const failing = connectSmtp({ host: 'x', address: '127.0.0.1', port, heloName: 'gw.test' });
    await expect(failing).rejects.toMatchObject({
      stage: 'connect',
      fault: { message: 'connection refused', enhanced: '4.4.1' },
    });
  });

  it('a source address this machine does not have', async () => {
    const { mx } = await foreign();
    const failing = connectSmtp({
      host: 'x',
      address: '127.0.0.1',
      port: mx.port,
      heloName: 'gw.test',
      localAddress: '192.0.2.77',
    });
    await expect(failing).rejects.toMatchObject({ stage: 'connect', fault: { reason: 'unreachable' } });
  });
});

describe('what a next hop cannot take', () => {
  it.each<[string, Partial<SmtpMessage>, string]>([
    ['8-bit octets', { body8bit: true }, '5.6.3'],
    ['its size', { sizeBytes: 2000 }, '5.3.4'],
    ['an address that is not ASCII', { recipients: ['jörg@t.test'] }, '5.6.7'],
    ['an address with a line end', { recipients: ['a@t.test>\r\nRSET\r\n<'] }, '5.1.3'],
    ['content with a bare LF', { content: Buffer.from('a\nb\r\n') }, '4.3.0'],
  ])('%s', async (_name, overrides, enhanced) => {
    const { mx, connect } = await foreign({ extensions: ['PIPELINING', 'SIZE 1000'] });
    const connection = await connect();
    const { recipients } = await connection.send(message(overrides));
    expect(recipients[0]).toMatchObject({ fault: { enhanced, progress: 'none' } });
    expect(mx.commands).toEqual(['EHLO gw.test']);
    expect(await told(connection)).toEqual(['content 250']);
  });

  it('content that turns out not to be canonical half way is never terminated', async () => {
    const { mx, connect } = await foreign();
    async function* parts(): AsyncIterable<Uint8Array> {
      yield Buffer.from('fine\r\n');
      yield await Promise.resolve(Buffer.from('bare\ncr\r\n'));
    }
    expect(await told(await connect(), message({ content: parts() }))).toEqual(['content content content']);
    expect(mx.accepted.length).toBe(0);
  });
});
