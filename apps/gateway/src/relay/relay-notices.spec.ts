import { describe, expect, it } from '@jest/globals';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { FAST, hostAt, hosts, told, useRelay } from '../../../../test/support/relay-harness.js';
import { waitFor } from '../../../../test/support/wait.js';

const relay = useRelay();
const ORCPT = 'rfc822;old+2Bbob@example.org';
const DSN = ['PIPELINING', '8BITMIME', 'DSN'];

/** Files in the sender's mailbox; none when there is no mailbox. */
async function noticeCount(): Promise<number> {
  return (await readdir(join(relay.directory, 'bounces', 'new')).catch(() => [])).length;
}

async function onlyNotice(): Promise<string> {
  const [notice = '', ...others] = await relay.bounces();
  expect(others).toEqual([]);
  return notice;
}

describe('a failure', () => {
  it('is told with ENVID, ORCPT and, for RET=FULL, the whole message', async () => {
    const mx = await relay.remote({ at: { rcpt: '550 5.1.1 No\r\n' } });
    relay.routes['out'] = hosts([hostAt(mx.port)]);
    const mail = { ret: 'FULL', envelopeId: 'Q+2B1' } as const;
    const message = await relay.accept({ mail, rcpt: { notify: ['FAILURE'], originalRecipient: ORCPT } });
    expect(told(await relay.ended(message.id))).toEqual(['delivery.failed rcpt', 'bounce.queued']);
    const bounce = await onlyNotice();
    expect(bounce).toContain('\r\nOriginal-Envelope-Id: Q+1\r\n');
    expect(bounce).toContain('\r\nOriginal-Recipient: rfc822; old+bob@example.org\r\nFinal-Recipient: rfc822; bob@');
    expect(bounce).toContain(
      'Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n\r\nSubject: hello\r\n',
    );
    expect(bounce).toContain('\r\n\r\nworld\r\n--=_');
  });

  it.each([['NEVER'], ['SUCCESS'], ['DELAY']])('is not told to who asked for %s', async (word) => {
    const mx = await relay.remote({ at: { rcpt: '550 5.1.1 No\r\n' } });
    relay.routes['out'] = hosts([hostAt(mx.port)]);
    const message = await relay.accept({ rcpt: { notify: [word] } });
    const rows = await relay.ended(message.id);
    expect(told(rows).sort()).toEqual(['bounce.suppressed', 'delivery.failed rcpt']);
    expect(rows.find(({ kind }) => kind === 'bounce.suppressed')?.data).toEqual({
      reason: 'the sender asked for no notice of failure',
      recipients: ['bob@example.net'],
    });
    expect(await noticeCount()).toBe(0);
  });
});

describe('many failures', () => {
  it('are told to a domain as often as the policy allows; the audit knows of the others, and no other domain suffers', async () => {
    const mx = await relay.remote({ at: { rcpt: '550 5.1.1 No\r\n' } });
    relay.routes['out'] = hosts([hostAt(mx.port)]);
    relay.noticeRules = { form: 'multipart', limit: { max: 3, perMs: 60_000 }, words: { failed: { text: 'Sorry.' } } };
    const senders = [...Array.from({ length: 5 }, (_, at) => `u${String(at)}@Example.com`), 'ann@other.test', ''];
    const messages = await Promise.all(senders.map(async (sender) => relay.accept({ sender })));
    const stories = await Promise.all(messages.map(async ({ id }) => relay.ended(id)));
    const notices = stories.flat().filter(({ kind }) => kind.startsWith('bounce.'));
    expect(told(notices).sort()).toEqual([
      ...Array<string>(4).fill('bounce.queued'),
      ...Array<string>(3).fill('bounce.suppressed'),
    ]);
    expect(notices.flatMap(({ data }) => data['reason'] ?? []).sort()).toEqual([
      'null sender',
      ...Array<string>(2).fill('the domain of the sender has had as many notices as the policy allows'),
    ]);
    expect(stories[5]?.map(({ kind }) => kind)).toContain('bounce.queued');
    await waitFor('the notices', async () => (await noticeCount()) === 4);
    expect((await relay.bounces())[0]).toContain('\r\n\r\nSorry.\r\n');
    relay.noticeRules = undefined;
  });
});

describe('success', () => {
  it('is told as relayed where the next hop will say nothing', async () => {
    const mx = await relay.remote();
    relay.routes['out'] = hosts([hostAt(mx.port)]);
    const message = await relay.accept({ rcpt: { notify: ['SUCCESS', 'FAILURE'], originalRecipient: ORCPT } });
    const rows = await relay.ended(message.id);
    expect(told(rows).sort()).toEqual(['delivery.succeeded content', 'notice.queued']);
    expect(rows.find(({ kind }) => kind === 'notice.queued')?.data).toMatchObject({ action: 'relayed' });
    const notice = await onlyNotice();
    expect(notice).toContain('\r\nAction: relayed\r\nStatus: 2.0.0\r\n');
    expect(notice).not.toContain('world');
    expect(mx.commands.find((line) => line.startsWith('RCPT'))).toBe('RCPT TO:<bob@example.net>');
  });

  it('is left to a next hop that offers DSN and is told what was asked', async () => {
    const mx = await relay.remote({ extensions: DSN });
    relay.routes['out'] = hosts([hostAt(mx.port)]);
    const mail = { ret: 'HDRS', envelopeId: 'Q1' } as const;
    const message = await relay.accept({ mail, rcpt: { notify: ['SUCCESS'], originalRecipient: ORCPT } });
    expect(told(await relay.ended(message.id))).toEqual(['delivery.succeeded content']);
    expect(mx.commands.filter((line) => /^(MAIL|RCPT)/.test(line))).toEqual([
      'MAIL FROM:<ann@example.com> RET=HDRS ENVID=Q1',
      `RCPT TO:<bob@example.net> NOTIFY=SUCCESS ORCPT=${ORCPT}`,
    ]);
    expect(await noticeCount()).toBe(0);
  });

  it('is told as delivered where the message stays', async () => {
    const message = await relay.accept({ route: 'bounces', rcpt: { notify: ['SUCCESS'] } });
    const rows = await relay.ended(message.id);
    expect(told(rows).sort()).toEqual(['delivery.succeeded file', 'notice.queued']);
    await waitFor('message and notice', async () => (await noticeCount()) === 2);
    expect((await relay.bounces()).join('')).toContain('\r\nAction: delivered\r\n');
  });

  it('is told neither of what vanishes, nor to the null sender, nor to who did not ask', async () => {
    const mx = await relay.remote();
    relay.routes['out'] = hosts([hostAt(mx.port)]);
    relay.routes['nowhere'] = { kind: 'blackhole', retry: FAST, maxConnections: 1 };
    const messages = [
      await relay.accept({ route: 'nowhere', rcpt: { notify: ['SUCCESS'] } }),
      await relay.accept({ sender: '', rcpt: { notify: ['SUCCESS'] } }),
      await relay.accept({ rcpt: { notify: ['FAILURE'] } }),
      await relay.accept(),
    ];
    for (const { id } of messages) {
      expect(told(await relay.ended(id))).toEqual([expect.stringMatching(/^delivery.succeeded (content|file)$/)]);
    }
    expect(await noticeCount()).toBe(0);
  });
});

describe('a delay', () => {
  const SLOW = { ...FAST, delayNoticeMs: 60 };
  const greyFor = (attempts: number) => {
    let seen = 0;
    return () => ((seen += 1) <= attempts ? '450 4.2.0 Grey\r\n' : undefined);
  };

  it('is told once, however often it is tried', async () => {
    const mx = await relay.remote({ at: { rcpt: greyFor(8) } });
    relay.routes['out'] = hosts([hostAt(mx.port)], SLOW);
    const message = await relay.accept();
    const kinds = told(await relay.ended(message.id));
    expect(kinds.filter((line) => line === 'notice.queued')).toHaveLength(1);
    expect(kinds.at(-1)).toBe('delivery.succeeded content');
    const notice = await onlyNotice();
    expect(notice).toContain('\r\nAction: delayed\r\nStatus: 4.2.0\r\n');
    expect(notice).toMatch(/\r\nWill-Retry-Until: /);
    expect(notice).toContain('Diagnostic-Code: smtp; 450 4.2.0 Grey\r\n');
  });

  it.each<[string, { sender?: string; rcpt?: { notify: string[] } }]>([
    ['the null sender', { sender: '' }],
    ['who only wants failures', { rcpt: { notify: ['FAILURE'] } }],
    ['who wants nothing', { rcpt: { notify: ['NEVER'] } }],
  ])('is not told to %s', async (_name, wishes) => {
    const mx = await relay.remote({ at: { rcpt: greyFor(5) } });
    relay.routes['out'] = hosts([hostAt(mx.port)], SLOW);
    const kinds = told(await relay.ended((await relay.accept(wishes)).id));
    expect(new Set(kinds)).toEqual(new Set(['delivery.deferred rcpt', 'delivery.succeeded content']));
    expect(await noticeCount()).toBe(0);
  });
});

describe('what a next hop cannot take', () => {
  const bytes = Buffer.from('Subject: caf\u00e9\r\n\r\nworld\r\n');
  it.each<[string, string[], Parameters<typeof relay.accept>[0], string]>([
    ['8-bit content without 8BITMIME', ['PIPELINING'], { bytes, body8bit: true }, '5.6.3'],
    ['a UTF-8 header without SMTPUTF8', ['8BITMIME'], { bytes, body8bit: true, mail: { smtpUtf8: true } }, '5.6.7'],
    ['a UTF-8 recipient without SMTPUTF8', ['8BITMIME'], { recipients: ['b\u00f6b@x.test'] }, '5.6.7'],
    ['a UTF-8 sender without SMTPUTF8', ['8BITMIME'], { sender: '\u00e4nn@x.test' }, '5.6.7'],
    ['too many octets', ['SIZE 10'], {}, '5.3.4'],
  ])('fails before it is offered: %s', async (_name, extensions, wishes, enhanced) => {
    const mx = await relay.remote({ extensions });
    relay.routes['out'] = hosts([hostAt(mx.port)]);
    const rows = await relay.ended((await relay.accept(wishes)).id);
    expect(told(rows)).toEqual(['delivery.failed mail', 'bounce.queued']);
    expect(rows[0]?.data['enhanced']).toBe(enhanced);
    expect(mx.commands.filter((line) => line.startsWith('MAIL'))).toEqual([]);
    expect(await onlyNotice()).toContain(`\r\nStatus: ${enhanced}\r\n`);
  });

  it('does not need SMTPUTF8 because a client asked for it in vain', async () => {
    const mx = await relay.remote({ extensions: ['8BITMIME'] });
    relay.routes['out'] = hosts([hostAt(mx.port)]);
    const body = Buffer.from('Subject: x\r\n\r\nw\u00f6rld\r\n');
    const wishes = { bytes: body, body8bit: true, mail: { smtpUtf8: true as const } };
    expect(told(await relay.ended((await relay.accept(wishes)).id))).toEqual(['delivery.succeeded content']);
    expect(mx.commands.find((line) => line.startsWith('MAIL'))).toBe('MAIL FROM:<ann@example.com> BODY=8BITMIME');
  });

  it('a UTF-8 domain goes out in its ASCII form; with SMTPUTF8 as it is', async () => {
    const plain = await relay.remote({ extensions: [] });
    relay.routes['out'] = hosts([hostAt(plain.port)]);
    const message = await relay.accept({ recipients: ['bob@b\u00fccher.test'] });
    expect(told(await relay.ended(message.id))).toEqual(['delivery.succeeded content']);
    expect(plain.accepted[0]?.recipients).toEqual(['bob@xn--bcher-kva.test']);
    const able = await relay.remote({ extensions: ['SMTPUTF8', '8BITMIME'] });
    relay.routes['out'] = hosts([hostAt(able.port)]);
    const utf8 = { recipients: ['b\u00f6b@x.test'], bytes, body8bit: true, mail: { smtpUtf8: true as const } };
    expect(told(await relay.ended((await relay.accept(utf8)).id))).toEqual(['delivery.succeeded content']);
    expect(able.commands.filter((line) => /^(MAIL|RCPT)/.test(line))).toEqual([
      'MAIL FROM:<ann@example.com> BODY=8BITMIME SMTPUTF8',
      'RCPT TO:<b\u00f6b@x.test>',
    ]);
    expect(able.accepted[0]?.content.equals(bytes)).toBe(true);
  });
});
