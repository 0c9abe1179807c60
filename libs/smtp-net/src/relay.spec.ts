import { afterEach, describe, expect, it } from '@jest/globals';
import { selfSigned } from '../../../test/support/certificates.js';
import { ForeignMx } from '../../../test/support/foreign-mx.js';
import type { MxScript } from '../../../test/support/foreign-mx.js';
import { answerFor, relayByMx, relayToHost } from './index.js';
import type { MessageToRelay, MxResolver } from './index.js';

const MESSAGE: MessageToRelay = { sender: '', recipients: ['a@one.test', 'b@one.test'], content: Buffer.from('x\r\n') };
const started: ForeignMx[] = [];

afterEach(() => Promise.all(started.splice(0).map((mx) => mx.close())));

/** The same port on every address, as exchangers have it. */
async function exchangers(first: MxScript, second: MxScript): Promise<readonly [ForeignMx, ForeignMx]> {
  const one = await ForeignMx.listen(first, 0, '127.0.0.11');
  started.push(one);
  const two = await ForeignMx.listen(second, one.port, '127.0.0.12');
  started.push(two);
  return [one, two];
}

const both: MxResolver = () =>
  Promise.resolve([
    { exchange: '127.0.0.12', priority: 20 },
    { exchange: '127.0.0.11', priority: 10 },
  ]);

const byMx = async (port: number, resolveMx = both, message = MESSAGE): Promise<unknown> =>
  answerFor(await relayByMx(message, { heloName: 'relay.test', port, resolveMx }));

const failing =
  (code: string): MxResolver =>
  () =>
    Promise.reject(Object.assign(new Error('no'), { code }));

describe('a loop', () => {
  const passed = (hops: number): MessageToRelay => ({
    ...MESSAGE,
    content: Buffer.from(
      `${'RECEIVED: from x\r\n\tby y; now\r\n'.repeat(hops)}Subject: x\r\n\r\n${'Received: in the body\r\n'.repeat(200)}`,
    ),
  });

  it('is ended where a message has seen too many hosts, and nobody is asked', async () => {
    const mx = await ForeignMx.listen({}, 0, '127.0.0.11');
    started.push(mx);
    const to = { heloName: 'relay.test', host: '127.0.0.11', port: mx.port };
    expect(answerFor(await relayToHost(passed(100), to))).toEqual({ effect: 'accept' });
    const refusal = { code: 554, enhanced: '5.4.6', lines: ['too many hops, this message seems to loop'] };
    expect(answerFor(await relayToHost(passed(101), to))).toEqual({ effect: 'refuse', reply: refusal });
    expect(answerFor(await relayToHost(passed(4), { ...to, maxHops: 3 }))).toEqual({
      effect: 'refuse',
      reply: refusal,
    });
    expect(await byMx(mx.port, both, passed(101))).toEqual({ effect: 'refuse', reply: refusal });
    expect(mx.accepted).toHaveLength(1);
  });
});

describe('TLS on the way', () => {
  const served = async (script: MxScript): Promise<ForeignMx> => {
    const mx = await ForeignMx.listen(script, 0, '127.0.0.11');
    started.push(mx);
    return mx;
  };
  const relay = async (mx: ForeignMx, tls?: 'encrypted' | 'verified' | 'none'): Promise<unknown> =>
    answerFor(
      await relayToHost(MESSAGE, { heloName: 'relay.test', host: '127.0.0.11', port: mx.port, ...(tls && { tls }) }),
    );

  it('is used where it is offered, whatever the certificate; verified when that is wanted', async () => {
    const { certificate, key } = await selfSigned({ names: ['mx.test'] });
    const mx = await served({ tls: { server: { cert: certificate, key } } });
    expect(await relay(mx)).toEqual({ effect: 'accept' });
    expect(mx.commands).toContain('STARTTLS');
    expect(await relay(mx, 'verified')).toMatchObject({ effect: 'refuse', reply: { code: 451 } });
    expect(mx.accepted).toHaveLength(1);
  });

  it.each<[string, MxScript]>([
    ['is not offered', {}],
    ['is refused', { at: { starttls: '454 4.7.0 Not now\r\n' } }],
    ['breaks', { at: { starttls: '220 go\r\n250 injected\r\n' } }],
  ])('that %s: plaintext, unless TLS is wanted', async (name, script) => {
    const { certificate, key } = await selfSigned({ names: ['mx.test'] });
    const mx = await served(
      name === 'is not offered' ? script : { ...script, tls: { server: { cert: certificate, key } } },
    );
    expect(await relay(mx, 'encrypted')).toMatchObject({ effect: 'refuse', reply: { code: 451 } });
    expect(await relay(mx)).toEqual({ effect: 'accept' });
    expect(mx.accepted).toHaveLength(1);
  });
});

describe('relay by MX', () => {
  it('takes the most preferred, and once', async () => {
    const [one, two] = await exchangers({}, {});
    expect(await byMx(one.port)).toEqual({ effect: 'accept' });
    expect([one.accepted.length, two.accepted.length]).toEqual([1, 0]);
  });

  it.each<[string, MxScript]>([
    ['is shut', { at: { banner: '554 5.3.2 No service\r\n' } }],
    ['defers', { at: { mail: '451 4.3.0 Busy\r\n' } }],
    ['hangs up', { at: { mail: { kind: 'drop' } } }],
  ])('goes on to the next one when the first %s', async (_name, script) => {
    const [one, two] = await exchangers(script, {});
    expect(await byMx(one.port)).toEqual({ effect: 'accept' });
    expect(two.accepted.map(({ recipients }) => recipients)).toEqual([MESSAGE.recipients]);
  });

  it('offers to the next one only whom the first did not answer for good', async () => {
    const first = ({ line }: { line: string }): string | undefined =>
      line.includes('b@') ? '450 4.2.0 Later\r\n' : undefined;
    const [one, two] = await exchangers({ at: { rcpt: first } }, { at: { rcpt: '550 5.1.1 Nobody\r\n' } });
    expect(await byMx(one.port)).toMatchObject({ effect: 'refuse', reply: { code: 550, enhanced: '5.1.1' } });
    expect(one.accepted[0]?.recipients).toEqual(['a@one.test']);
    expect(two.commands.filter((line) => line.startsWith('RCPT'))).toEqual(['RCPT TO:<b@one.test>']);
  });

  it('gives no second copy when the first may have accepted', async () => {
    const [one, two] = await exchangers({ at: { content: { kind: 'drop' } } }, {});
    expect(await byMx(one.port)).toMatchObject({ effect: 'refuse', reply: { code: 451 } });
    expect(two.connections).toBe(0);
  });

  it('passes on what the sender asked, each recipient with its own wishes, also to the next exchanger', async () => {
    const extensions = ['PIPELINING', '8BITMIME', 'SMTPUTF8', 'DSN'];
    const deferA = ({ line }: { line: string }): string | undefined =>
      line.includes('<a@') ? '450 4.2.0 Later\r\n' : undefined;
    const [one, two] = await exchangers({ extensions, at: { rcpt: deferA } }, { extensions });
    const message: MessageToRelay = {
      ...MESSAGE,
      recipients: ['ü@one.test', 'a@one.test'],
      recipientParameters: [{ notify: ['NEVER'] }, { notify: ['SUCCESS'], originalRecipient: 'rfc822;z@one.test' }],
      smtpUtf8: true,
      ret: 'HDRS',
      envelopeId: 'x+2B1',
      session: { client: { address: '192.0.2.1', port: 1 }, helo: 'client.test', protocol: 'ESMTP' },
    };
    expect(await byMx(one.port, both, message)).toEqual({ effect: 'accept' });
    const mailOf = (mx: ForeignMx): string | undefined => mx.commands.find((line) => line.startsWith('MAIL'));
    expect(mailOf(one)).toMatch(/^MAIL FROM:<> SMTPUTF8 RET=HDRS ENVID=x\+2B1$/);
    expect(mailOf(two)).toBe(mailOf(one));
    expect(two.commands.filter((line) => line.startsWith('RCPT'))).toEqual([
      'RCPT TO:<a@one.test> NOTIFY=SUCCESS ORCPT=rfc822;z@one.test',
    ]);
    expect(one.accepted[0]?.content.toString()).toContain(' with UTF8SMTP id ');
  });

  it('uses the domain itself when it has no MX, and an address as it stands', async () => {
    const [one] = await exchangers({}, {});
    const message = { ...MESSAGE, recipients: ['a@[127.0.0.11]'] };
    expect(await byMx(one.port, failing('ENOTFOUND'), message)).toEqual({ effect: 'accept' });
    const local = await ForeignMx.listen();
    started.push(local);
    const toDomain = { ...MESSAGE, recipients: ['a@localhost'] };
    expect(await byMx(local.port, failing('ENODATA'), toDomain)).toEqual({ effect: 'accept' });
  });

  it.each<[string, MxResolver, number, string]>([
    ['a domain that does not exist', failing('ENOTFOUND'), 554, '5.1.2'],
    ['DNS that does not know', failing('ESERVFAIL'), 451, '4.4.3'],
    ['a null MX', () => Promise.resolve([{ exchange: '', priority: 0 }]), 554, '5.1.10'],
    ['only ourselves', () => Promise.resolve([{ exchange: 'Relay.test', priority: 10 }]), 554, '5.4.6'],
  ])('%s', async (_name, resolveMx, code, enhanced) => {
    expect(await byMx(1, resolveMx)).toMatchObject({ effect: 'refuse', reply: { code, enhanced } });
  });

  it('an address without a domain has no exchanger', async () => {
    const message = { ...MESSAGE, recipients: ['Postmaster'] };
    expect(await byMx(1, both, message)).toMatchObject({ reply: { enhanced: '5.1.3' } });
  });
});

describe('relay to a host', () => {
  it('nobody there is a temporary fault of every recipient', async () => {
    const gone = await ForeignMx.listen();
    await gone.close();
    const results = await relayToHost(MESSAGE, { heloName: 'relay.test', host: '127.0.0.1', port: gone.port });
    expect(results.map(({ address }) => address)).toEqual(MESSAGE.recipients);
    expect(answerFor(results)).toMatchObject({ reply: { code: 451, lines: ['connection refused'] } });
  });

  it('one that may still be helped makes the answer temporary', () => {
    const said = (address: string, code: number): Parameters<typeof answerFor>[0][number] => ({
      address,
      stage: 'rcpt',
      reply: { code, lines: [''] },
    });
    expect(answerFor([said('a', 250), said('b', 550), said('c', 450)])).toMatchObject({ reply: { code: 450 } });
    expect(answerFor([said('a', 250), said('b', 354)])).toMatchObject({ reply: { code: 451 } });
  });
});
