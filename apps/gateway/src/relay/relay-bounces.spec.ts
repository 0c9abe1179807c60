import { describe, expect, it } from '@jest/globals';
import type { RetryProfile } from '#delivery';
import { hostAt, hosts, told, useRelay } from '../../../../test/support/relay-harness.js';
import type { StoryRow } from '../../../../test/support/relay-harness.js';
import { waitFor } from '../../../../test/support/wait.js';

const relay = useRelay();
const HOPELESS: RetryProfile = { firstMs: 20, factor: 1, longestMs: 20, giveUpMs: 1 };

describe('giving up', () => {
  it('bounces what was refused for good, once for all recipients of the transaction, with the header only', async () => {
    const mx = await relay.remote({
      at: { rcpt: ({ line }) => (line.includes('ok@') ? undefined : '550 5.1.1 <x> unknown\r\n') },
    });
    relay.routes['out'] = hosts([hostAt(mx.port)]);
    const message = await relay.accept({ recipients: ['bad@x.test', 'ok@x.test', 'worse@x.test'] });
    const rows = await relay.ended(message.id);
    expect(told(rows).sort()).toEqual([
      'bounce.queued',
      'delivery.failed rcpt',
      'delivery.failed rcpt',
      'delivery.succeeded content',
    ]);
    const [bounce = '', ...others] = await relay.bounces();
    expect(others).toEqual([]);
    expect(bounce).toContain('Return-Path: <>\r\nDelivered-To: ann@example.com\r\n');
    expect(bounce).toContain(
      'Final-Recipient: rfc822; bad@x.test\r\nAction: failed\r\nStatus: 5.1.1\r\nRemote-MTA: dns; 127.0.0.1\r\nDiagnostic-Code: smtp; 550 5.1.1 <x> unknown\r\n',
    );
    expect(bounce).toContain('Final-Recipient: rfc822; worse@x.test');
    expect(bounce).not.toContain('ok@x.test');
    expect(bounce).toContain('\r\nSubject: hello\r\n');
    expect(bounce).not.toContain('world');
    const queued = rows.find(({ kind }) => kind === 'bounce.queued');
    const noticeId = String(queued?.data['noticeId']);
    expect(told(await relay.ended(noticeId))).toEqual(['delivery.succeeded file']);
    const [accepted] = await relay.server.query<StoryRow>(
      `select kind, recipient, data from audit_event where transaction_id = $1 and kind = 'transaction.accepted'`,
      [noticeId],
    );
    expect(accepted?.data).toMatchObject({ listener: 'internal', by: 'routing/bounces', snapshot: { revision: 7 } });
  });

  it('bounces what has become too old', async () => {
    const mx = await relay.remote({ at: { mail: '451 4.3.0 Busy\r\n' } });
    relay.routes['out'] = hosts([hostAt(mx.port)], HOPELESS);
    const rows = await relay.ended((await relay.accept()).id);
    expect(told(rows).filter((line) => !line.startsWith('delivery.deferred'))).toEqual([
      'delivery.expired mail',
      'bounce.queued',
    ]);
    const [bounce] = await relay.bounces();
    expect(bounce).toContain('Status: 4.4.7\r\n');
    expect(bounce).toContain('Diagnostic-Code: smtp; 451 4.3.0 Busy\r\n');
  });

  it('never answers the null sender, nor a sender to whom nothing is routed', async () => {
    const mx = await relay.remote({ at: { mail: '550 5.7.1 No\r\n' } });
    relay.routes['out'] = hosts([hostAt(mx.port)]);
    expect((await relay.ended((await relay.accept({ sender: '' })).id)).at(-1)).toMatchObject({
      kind: 'bounce.suppressed',
      data: { reason: 'null sender', recipients: ['bob@example.net'] },
    });
    relay.bounceRoute = undefined;
    expect((await relay.ended((await relay.accept()).id)).at(-1)).toMatchObject({ kind: 'bounce.suppressed' });
    expect(await relay.server.query('select from queue')).toEqual([]);
  });

  it('fails at once, with the right code, what the next hop cannot take', async () => {
    const mx = await relay.remote({ extensions: ['PIPELINING', 'SIZE 10'] });
    relay.routes['out'] = hosts([hostAt(mx.port)]);
    const rows = await relay.ended((await relay.accept()).id);
    expect(rows[0]).toMatchObject({ kind: 'delivery.failed', data: { enhanced: '5.3.4' } });
    expect(mx.transactions).toEqual([]);
  });

  it('defers while a route is missing from the policy', async () => {
    const message = await relay.accept({ route: 'nowhere' });
    const [row] = await waitFor('a deferral', async () => {
      const rows = await relay.story(message.id);
      return rows.length > 0 && rows;
    });
    expect(row).toMatchObject({
      kind: 'delivery.deferred',
      data: { stage: 'policy', enhanced: '4.3.5', reply: 'no route is named nowhere' },
    });
  });
});
