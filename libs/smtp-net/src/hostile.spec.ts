import { beforeAll, describe, expect, it } from '@jest/globals';
import { selfSigned } from '../../../test/support/certificates.js';
import { hostileClients } from '../../../test/support/hostile-clients.js';
import { dial, dialTls, serveWith } from '../../../test/support/smtp-fixture.js';
import type { Served } from '../../../test/support/smtp-fixture.js';
import { eventually } from '../../../test/support/smtp-peer.js';
import { createServerContext } from './index.js';
import type { ListenerSettings, SmtpServerHooks, TlsSettings } from './index.js';

let tls: TlsSettings;
beforeAll(async () => {
  const { certificate, key } = await selfSigned({ names: ['mx.test'] });
  const context = createServerContext({ cert: certificate, key });
  tls = { mode: 'starttls', secureContext: () => context };
});

interface Watched {
  readonly listener: Served;
  /** Senders and contents of what was accepted. */
  readonly accepted: { sender: string; content: string }[];
  readonly senders: string[];
  readonly ended: string[];
}

/** Accepts everything it can, and keeps what it was told. */
async function watched(settings: ListenerSettings = {}): Promise<Watched> {
  const accepted: Watched['accepted'] = [];
  const senders: string[] = [];
  const ended: string[] = [];
  const hooks: SmtpServerHooks = {
    mail: (session, path) => {
      const sender = path.kind === 'null' ? '' : `${path.mailbox.localPart}@${path.mailbox.domain}`;
      senders.push(sender);
      session.state = { sender, content: '' };
      return { effect: 'accept' };
    },
    data: ({ state }) => ({
      effect: 'accept',
      sink: {
        write: (chunk) => {
          const open = state as Watched['accepted'][number];
          if (open.content.length < 1_000) open.content += Buffer.from(chunk).toString('latin1');
        },
        abort: () => undefined,
      },
    }),
    message: ({ state }) => {
      accepted.push(state as Watched['accepted'][number]);
      return { effect: 'accept' };
    },
    authenticate: () => ({ effect: 'refuse' }),
    transactionEnded: (_, why) => ended.push(why),
  };
  const listener = await serveWith(hooks, { tls, auth: { mechanisms: ['PLAIN'], withoutTls: true }, ...settings });
  return { listener, accepted, senders, ended };
}

describe('smuggling', () => {
  const NEXT = 'MAIL FROM:<evil@client.test>\r\nRCPT TO:<c@mx.test>\r\nDATA\r\nevil\r\n';

  it.each([
    '\n.\n',
    '\n.\r\n',
    '\r.\r',
    '\r.\r\n',
    '\r\n.\n',
    '\r\n.\r',
    '\r\n.\r\r\n',
    '\r\n\0.\r\n',
    '\r\n.\0\r\n',
    '\n\n.\n\n',
    '\r\r\n.\r\r\n',
  ])('%j is no end of content', async (end) => {
    const { listener, accepted, senders, ended } = await watched();
    const peer = dial(listener);
    await peer.begin('data');
    peer.write(`first${end}${NEXT}\r\n.\r\n`);
    expect(await peer.reply()).toBe('550 5.6.11 Content holds a bare CR, a bare LF or a NUL');
    expect(await peer.say('NOOP')).toEqual(['250 2.0.0 OK']);
    expect([accepted, senders, ended]).toEqual([[], ['a@client.test'], ['content-refused']]);
  });

  it.each(['\n.\n', '\r.\r\n', 'bare\rCR\r\n', 'bare\nLF\r\n', 'NUL\0\r\n'])(
    '%j in a chunk is refused, too',
    async (end) => {
      const { listener, accepted, senders } = await watched();
      const peer = dial(listener);
      await peer.begin('rcpt');
      const chunk = `first${end}${NEXT}`;
      expect(await peer.say(`BDAT ${String(chunk.length)} LAST\r\n${chunk}NOOP`)).toHaveLength(1);
      expect([accepted, senders]).toEqual([[], ['a@client.test']]);
    },
  );

  it('dots of a chunk are content, not an end', async () => {
    const { listener, accepted } = await watched();
    const peer = dial(listener);
    await peer.begin('rcpt');
    const chunk = 'first\r\n.\r\nMAIL FROM:<evil@client.test>\r\n';
    peer.write(`BDAT ${String(chunk.length)} LAST\r\n${chunk}`);
    expect(await peer.reply()).toMatch(/^250 /);
    expect(accepted).toEqual([{ sender: 'a@client.test', content: chunk }]);
  });

  it.each(['BDAT 4294967296', 'BDAT 18446744073709551616', 'BDAT abc', 'BDAT -1', 'BDAT 0x10', 'BDAT 5 6'])(
    '%s: what follows is never taken for commands',
    async (line) => {
      const { listener, accepted, senders } = await watched();
      const peer = dial(listener);
      await peer.begin('rcpt');
      peer.write(`${line}\r\nRSET\r\nMAIL FROM:<evil@client.test>\r\n`);
      expect(await peer.reply()).toMatch(/^5\d\d /);
      await peer.closed();
      expect([accepted, senders]).toEqual([[], ['a@client.test']]);
    },
  );

  it.each(['DATA\r\n', 'EHLO again.test\r\n', 'STARTTLS\r\n'])(
    'what waits behind %j ends the session',
    async (line) => {
      const { listener, accepted, senders } = await watched();
      const peer = dial(listener);
      await peer.begin(line === 'DATA\r\n' ? 'rcpt' : 'ehlo');
      const before = senders.length;
      peer.write(`${line}MAIL FROM:<evil@client.test>\r\n.\r\n`);
      expect(await peer.reply()).toBe('554 5.5.0 Wait for the reply before you go on');
      await peer.closed();
      expect([accepted.length, senders.length]).toEqual([0, before]);
    },
  );

  it('what comes after QUIT is nothing', async () => {
    const { listener, senders } = await watched();
    const peer = dial(listener);
    await peer.begin('ehlo');
    peer.write('QUIT\r\nMAIL FROM:<evil@client.test>\r\n');
    expect([await peer.reply(), await peer.reply()]).toEqual(['221 2.0.0 Goodbye', 'closed']);
    expect(senders).toEqual([]);
  });

  it('legal groups work: the end of content and the next envelope in one', async () => {
    const { listener, accepted } = await watched();
    const peer = dial(listener);
    await peer.begin('data');
    expect(await peer.say('one\r\n.', 'MAIL FROM:<second@client.test>', 'RCPT TO:<b@mx.test>', 'DATA')).toEqual([
      expect.stringMatching(/^250 /),
      '250 2.1.0 Sender OK',
      '250 2.1.5 Recipient OK',
      '354 End data with <CR><LF>.<CR><LF>',
    ]);
    expect(await peer.say('two\r\n.')).toEqual([expect.stringMatching(/^250 /)]);
    expect(accepted.map(({ content }) => content)).toEqual(['one\r\n', 'two\r\n']);
  });
});

describe('other protocols', () => {
  it.each([
    'GET / HTTP/1.1\r\n',
    'POST / HTTP/1.1\r\nHost: mx.test\r\n\r\nEHLO x\r\nMAIL FROM:<evil@client.test>\r\n',
    'Host: mx.test\r\n',
    'SSH-2.0-OpenSSH_9.2\r\n',
  ])('%j is thrown out', async (said) => {
    const { listener, senders } = await watched();
    const peer = dial(listener);
    await peer.reply();
    peer.write(said);
    expect(await peer.reply()).toMatch(/^(?:421|5\d\d) /);
    peer.write('EHLO x\r\nMAIL FROM:<evil@client.test>\r\n');
    if (!said.startsWith('SSH')) await peer.closed();
    expect(senders).toEqual([]);
  });
});

describe('limits', () => {
  it('the recipients over the limit are refused, the accepted ones stay', async () => {
    const { listener, accepted } = await watched({ limits: { maxRecipients: 3 } });
    const peer = dial(listener);
    await peer.begin('rcpt');
    const more = Array.from({ length: 4 }, (_, at) => `RCPT TO:<u${String(at)}@mx.test>`);
    expect((await peer.say(...more)).map((reply) => reply.slice(0, 9))).toEqual([
      '250 2.1.5',
      '250 2.1.5',
      '452 4.5.3',
      '452 4.5.3',
    ]);
    await peer.say('DATA');
    expect(await peer.say('text\r\n.')).toEqual([expect.stringMatching(/^250 /)]);
    expect(accepted).toHaveLength(1);
  });

  it('a session that only makes mistakes ends', async () => {
    const { listener } = await watched();
    const peer = dial(listener);
    await peer.begin('ehlo');
    peer.write('NONSENSE\r\n'.repeat(100));
    let reply = '';
    for (let at = 0; at < 100 && !reply.startsWith('421'); at += 1) reply = await peer.reply();
    expect(reply).toBe('421 4.7.0 Too many errors or idle commands');
    await peer.closed();
  });

  it('a client that reads late is told everything, in order', async () => {
    const { listener } = await watched({ limits: { maxRecipients: 1_000_000 } });
    const peer = dial(listener);
    await peer.begin('rcpt');
    peer.socket.pause();
    peer.write(Array.from({ length: 20_000 }, (_, at) => `RCPT TO:<${'x'.repeat(at % 3)}u@mx.test>\r\n`).join(''));
    peer.write('RCPT TO:<>\r\nQUIT\r\n');
    await new Promise((resolve) => setTimeout(resolve, 200));
    peer.socket.resume();
    for (let at = 0; at < 20_000; at += 1) expect(await peer.reply()).toBe('250 2.1.5 Recipient OK');
    expect([await peer.reply(), await peer.reply()]).toEqual([
      '501 5.1.3 Bad recipient address syntax',
      '221 2.0.0 Goodbye',
    ]);
  });

  it('nothing is kept of a line without end', async () => {
    const { listener } = await watched();
    const peer = dial(listener);
    await peer.begin('ehlo');
    const before = process.memoryUsage().arrayBuffers;
    for (let at = 0; at < 64; at += 1) peer.write(Buffer.alloc(65_536, 'x'));
    expect(await peer.say('')).toEqual(['500 5.5.2 Line too long']);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16_777_216);
  });
});

describe('three hundred hostile clients', () => {
  it('are survived, and good ones are served beside them', async () => {
    const { listener, accepted } = await watched({
      limits: {
        maxConnectionsPerAddress: 1_000,
        maxErrors: 5,
        commandTimeoutMs: 2_000,
        lineTimeoutMs: 1_000,
        contentTimeoutMs: 2_000,
        handshakeTimeoutMs: 1_000,
      },
    });
    const kinds = Object.values(hostileClients(0.05));
    const hostile = Promise.all(
      Array.from({ length: 300 }, (_, at) => kinds[at % kinds.length]?.(listener.port) ?? Promise.resolve()),
    );
    for (let at = 0; at < 20; at += 1) {
      const peer = at % 2 === 0 ? dial(listener) : await dialTls(await other(listener));
      await peer.begin('data');
      expect(await peer.say(`good ${String(at)}\r\n.`)).toEqual([expect.stringMatching(/^250 /)]);
      await peer.destroy();
    }
    await hostile;
    await eventually(() => listener.server.connections === 0, 'all are gone');
    const good = accepted.filter(({ content }) => content.startsWith('good '));
    expect([good.length, accepted.filter(({ sender }) => sender.startsWith('evil')).length]).toEqual([20, 0]);
  }, 60_000);

  let implicit: Served | undefined;
  /** The same server, where TLS comes first. */
  async function other(listener: Served): Promise<Served> {
    implicit ??= Object.assign(
      await listener.server.listen({
        host: '127.0.0.1',
        port: 0,
        limits: { maxConnectionsPerAddress: 1_000 },
        tls: { ...tls, mode: 'implicit' },
      }),
      { server: listener.server },
    );
    return implicit;
  }
});
