import { describe, expect, it } from '@jest/globals';
import { NO, dial, serve } from '../../../test/support/smtp-fixture.js';
import type { SmtpPeer } from '../../../test/support/smtp-peer.js';
import { collectMessages } from './index.js';
import type { CollectedMessage } from './index.js';

async function send(peer: SmtpPeer, content: string): Promise<string> {
  peer.write(`${content}.\r\n`);
  return peer.reply();
}

describe('collected messages', () => {
  it('hold the envelope as accepted, and the content', async () => {
    const messages: CollectedMessage[] = [];
    const take = (message: CollectedMessage): undefined => void messages.push(message);
    const listener = await serve(
      collectMessages(take, { rcpt: (_, path) => (path.kind === 'postmaster' ? { effect: 'accept' } : NO) }),
    );
    const peer = dial(listener);
    await peer.begin('ehlo');
    await peer.say('MAIL FROM:<>', 'RCPT TO:<b@mx.test>', 'RCPT TO:<postmaster>', 'DATA');
    expect(await send(peer, '..x\r\n')).toBe('250 2.0.0 Accepted');
    await peer.say('MAIL FROM:<"a b"@client.test>', 'RCPT TO:<postmaster>', 'RSET');
    await peer.say('MAIL FROM:<c@client.test>', 'RCPT TO:<postmaster>', 'DATA');
    expect(await send(peer, 'y\r\n')).toBe('250 2.0.0 Accepted');
    expect(messages.map(({ sender, recipients, content }) => [sender, recipients, content.toString()])).toEqual([
      ['', ['Postmaster'], '.x\r\n'],
      ['c@client.test', ['Postmaster'], 'y\r\n'],
    ]);
    expect(messages[0]?.session.client.address).toBe('127.0.0.1');
  });

  it('hold what the sender asked about notices, of each accepted recipient, and that there is UTF-8', async () => {
    const messages: CollectedMessage[] = [];
    const take = (message: CollectedMessage): undefined => void messages.push(message);
    const refuseFirst = collectMessages(take, {
      rcpt: (_, path) => (path.kind === 'mailbox' && path.mailbox.localPart === 'no' ? NO : { effect: 'accept' }),
    });
    const peer = dial(await serve(refuseFirst));
    await peer.begin('ehlo');
    await peer.say(
      'MAIL FROM:<ü@client.test> SMTPUTF8 RET=HDRS ENVID=x+2B1',
      'RCPT TO:<no@mx.test> NOTIFY=DELAY',
      'RCPT TO:<a@mx.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;z@mx.test',
      'RCPT TO:<b@mx.test>',
      'DATA',
    );
    await send(peer, 'x\r\n');
    expect(messages).toMatchObject([
      {
        sender: 'ü@client.test',
        smtpUtf8: true,
        ret: 'HDRS',
        envelopeId: 'x+2B1',
        recipients: ['a@mx.test', 'b@mx.test'],
        recipientParameters: [{ notify: ['SUCCESS', 'FAILURE'], originalRecipient: 'rfc822;z@mx.test' }, {}],
      },
    ]);
  });

  it('are answered as their taker says', async () => {
    const listener = await serve(collectMessages(() => Promise.resolve(NO)));
    const peer = dial(listener);
    await peer.begin();
    expect(await send(peer, 'x\r\n')).toBe('550 5.7.1 No');
  });

  it('are refused while more is held than may be, and taken again afterwards', async () => {
    const listener = await serve(collectMessages(() => undefined, { maxHeldBytes: 10 }));
    const holder = dial(listener);
    await holder.begin();
    holder.write('12345\r\n');
    const peer = dial(listener);
    await peer.begin();
    expect(await send(peer, '12345678901\r\n')).toBe('452 4.3.1 Insufficient storage');
    expect(await send(holder, '')).toBe('250 2.0.0 Accepted');
    for (const _ of [1, 2, 3]) {
      await peer.say('MAIL FROM:<>', 'RCPT TO:<b@mx.test>', 'DATA');
      expect(await send(peer, '12345678\r\n')).toBe('250 2.0.0 Accepted');
    }
  });
});
