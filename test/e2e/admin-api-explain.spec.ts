/** Why a recorded transaction was decided as it was, told again later by the policy and the lists of then. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { publicId, traceOf, type RecordedRecipient, type TransactionRecord } from '#audit';
import { newId } from '#database';
import { ApiUnderTest, expectProblem, smallPolicy, type Answer } from './admin-api-support.js';

const LEAVERS = `  leavers: { type: address, entries: [bob@example.com] }\ndomains:`;
const LEAVER_RULE = `  rcpt:
    - name: leaver
      when: { recipient: leavers }
      reject: 550 5.1.6 Mailbox has moved
rewriting:
  - name: old-brand
    recipient: { from: '*@old.example', to: '{local}@example.com' }
routing:`;
const POLICY = smallPolicy().replace('domains:', LEAVERS).replace('routing:', LEAVER_RULE);

let api: ApiUnderTest;
let revision = 0;
let staffRevision = 0;

const change = { actor: 'test' };

beforeAll(async () => {
  api = await ApiUnderTest.start();
  revision = await api.publish(POLICY);
  await api.database.lists.add('staff', ['ann@example.com', 'bob@example.com'], change);
  const staff = await api.database.lists.load('staff');
  staffRevision = staff.revision;
});
afterAll(() => api.stop());

/** Records what a gateway with the first revision would have. */
async function recorded(more: Partial<TransactionRecord>, recipients: readonly RecordedRecipient[]): Promise<string> {
  const id = newId();
  const data: TransactionRecord = {
    listener: 'inside',
    clientPort: 40_001,
    helo: 'client.example',
    protocol: 'ESMTP',
    startedAtMs: Date.now(),
    snapshot: {
      policy: 'main',
      revision,
      digest: 'sha256:00',
      lists: { staff: staffRevision, 'blocked-senders': 0, 'blocked-networks': 0 },
    },
    client: 'none',
    facts: {
      listener: 'inside',
      ip: '203.0.113.9',
      time: '2026-11-22T10:00:00.000Z',
      helo: 'client.example',
      'helo.kind': 'fqdn',
      sender: 'a@x.example',
    },
    parameters: {},
    by: '',
    recipients,
    ...more,
  };
  api.database.audit.append([
    { id: newId(), transactionId: id, sender: 'a@x.example', kind: 'transaction.refused', data },
  ]);
  await api.database.audit.flush();
  return id;
}

function recipient(original: string, more: Partial<RecordedRecipient> = {}): RecordedRecipient {
  return {
    id: newId(),
    original,
    address: original,
    verdict: 'accept',
    by: '',
    reply: '250 2.1.5 Recipient OK',
    facts: { recipient: original, recipients: 1 },
    ...(more.verdict === undefined && { route: 'capture' }),
    ...more,
  };
}

function explain(id: string, query = ''): Promise<Answer> {
  return api.ask(`/v1/transactions/${publicId('txn', id)}/explain${query}`, { key: api.viewerKey });
}

/** The replies carry the trace, which is known only once the id is. */
async function refusedLeaver(): Promise<string> {
  const original = 'bob@old.example';
  return recorded({ by: 'rcpt/leaver' }, [
    recipient(original, {
      address: 'bob@example.com',
      verdict: 'reject',
      by: 'rcpt/leaver',
      reply: 'to be read below',
    }),
    recipient('ann@example.com'),
  ]);
}

describe('explaining', () => {
  test('mail of our own making is explained as such: no client, no rule of clients was asked', async () => {
    const own = { sender: '', recipient: 'x@elsewhere.example', time: '2026-11-22T10:00:00.000Z' };
    const notice = { listener: 'internal', clientPort: 0, helo: 'mx.example.com', facts: {}, by: 'routing/all' };
    const id = await recorded(notice, [recipient('x@elsewhere.example', { facts: own, route: 'capture' })]);
    const { body } = await explain(id);
    expect(body).toMatchObject({ same: true, differences: [], recipients: [{ verdict: 'accept', route: 'capture' }] });
    expect((body as { text: readonly string[] }).text[0]).toMatch(/^a notice of our own making/u);
  });

  test('says since when the rule reads so, and what would have led to another decision', async () => {
    await api.publish(POLICY.replace('policy: main', 'policy: main\ndescription: the rules stay as they are'));
    const { body } = await explain(await refusedLeaver());
    const [leaver, other] = (body as { recipients: { introduced?: object; wouldChangeIf: readonly string[] }[] })
      .recipients;
    expect(leaver?.introduced).toMatchObject({ revision, author: expect.any(String) });
    expect(leaver?.wouldChangeIf).toEqual([
      '`recipient: leavers` did not hold: no rule would object: accept, route capture',
    ]);
    expect(other).toMatchObject({ wouldChangeIf: [] });
    expect(other).not.toHaveProperty('introduced');
  });

  test('tells steps, facts, lists and entries, and the same in English', async () => {
    const id = await refusedLeaver();
    const { status, body } = await explain(id);
    expect(status).toBe(200);
    expect(body).toMatchObject({
      transaction: publicId('txn', id),
      trace: traceOf(id),
      decidedBy: {
        policy: 'main',
        revision,
        digest: expect.stringMatching(/^sha256:[0-9a-f]{64}$/u),
        lists: { staff: staffRevision, 'blocked-senders': 0, 'blocked-networks': 0 },
      },
      client: 'none',
      mail: {
        verdict: 'accept',
        by: '',
        steps: [
          { phase: 'connect', rule: 'connect/blocked-network', result: false },
          {
            phase: 'mail',
            rule: 'mail/blocked-sender',
            result: false,
            because: [
              {
                part: 'when',
                condition: 'sender: blocked-senders',
                fact: 'sender',
                value: 'a@x.example',
                result: false,
              },
            ],
          },
        ],
      },
      recipients: [
        {
          recipient: { original: 'bob@old.example', final: 'bob@example.com' },
          verdict: 'reject',
          by: 'rcpt/leaver',
          reply: `550 5.1.6 Mailbox has moved [${traceOf(id)}]`,
          steps: [
            { phase: 'rcpt', step: 'rewriting', rule: 'rewriting/old-brand', result: true },
            { phase: 'rcpt', step: 'relay', result: true },
            {
              phase: 'rcpt',
              rule: 'rcpt/leaver',
              result: true,
              effect: 'reject',
              because: [{ value: 'bob@example.com', result: true, in: 'leavers', entry: 'bob@example.com' }],
            },
          ],
        },
        { recipient: { original: 'ann@example.com', final: 'ann@example.com' }, verdict: 'accept', route: 'capture' },
      ],
    });
    const text = (body.text as string[]).join('\n');
    expect(text).toContain('rule rcpt/leaver: holds, reject; when recipient: leavers: yes (it is bob@example.com');
    expect(text).toContain('bob@old.example, rewritten to bob@example.com: reject, by rcpt/leaver');
  });

  test('names what differs from the record, and only that', async () => {
    const id = await refusedLeaver();
    const { body } = await explain(id);
    expect(body).toMatchObject({
      same: false,
      differences: [
        {
          recipient: 'bob@old.example',
          field: 'reply',
          recorded: 'to be read below',
          recomputed: `550 5.1.6 Mailbox has moved [${traceOf(id)}]`,
        },
      ],
    });
    expect((body.text as string[]).at(-1)).toMatch(
      /^bob@old\.example: reply is 550 .*, recorded was to be read below$/u,
    );
  });

  test('judges by the policy and the lists of then, whatever changed since', async () => {
    const id = await recorded({}, [recipient('ann@example.com')]);
    await api.database.lists.remove('staff', ['ann@example.com'], change);
    const next = await api.publish(POLICY.replace('reject: 550 5.7.1 Sender blocked', 'reject: 550 5.7.1 Go away'));
    try {
      const { body } = await explain(id);
      expect(body).toMatchObject({
        same: true,
        differences: [],
        decidedBy: { revision, lists: { staff: staffRevision } },
      });
      expect((body.text as string[]).at(-1)).toBe('this is the decision that was recorded');
      expect((await explain(id, `?againstRevision=${next}`)).body).toMatchObject({
        same: true,
        decidedBy: { revision: next, lists: { staff: staffRevision } },
      });
    } finally {
      await api.database.lists.add('staff', ['ann@example.com'], change);
    }
  });

  test('against another revision: what it would decide, and where that differs', async () => {
    const id = await recorded({}, [recipient('ann@example.com')]);
    const stricter = await api.publish(
      POLICY.replace('entries: [bob@example.com]', 'entries: [bob@example.com, ann@example.com]'),
    );
    const { body } = await explain(id, `?againstRevision=${stricter}`);
    expect(body).toMatchObject({
      same: false,
      decidedBy: { revision: stricter },
      recipients: [{ verdict: 'reject', by: 'rcpt/leaver' }],
    });
    expect(body.differences).toEqual([
      { recipient: 'ann@example.com', field: 'verdict', recorded: 'accept', recomputed: 'reject' },
      { recipient: 'ann@example.com', field: 'by', recorded: '', recomputed: 'rcpt/leaver' },
      { recipient: 'ann@example.com', field: 'route', recorded: 'capture', recomputed: '' },
      expect.objectContaining({ field: 'reply', recorded: '250 2.1.5 Recipient OK' }),
    ]);
    expect((await explain(id)).body.same).toBe(true);
  });

  test('lists that another revision declares otherwise: entries that it would refuse are left out', async () => {
    const id = await recorded({}, [recipient('ann@example.com')]);
    const managed = await api.publish(
      POLICY.replace(
        'leavers: { type: address, entries: [bob@example.com] }',
        'leavers: { type: address, source: managed, use: deny }',
      ),
    );
    await api.database.lists.add('leavers', ['ann@example.com'], change);
    const { body } = await explain(id, `?againstRevision=${managed}`);
    expect(body).toMatchObject({ decidedBy: { lists: { leavers: 1 } }, recipients: [{ by: 'rcpt/leaver' }] });
    await api.database.lists.remove('staff', ['ann@example.com', 'bob@example.com'], change);
    const domains = await api.publish(
      POLICY.replace('recipients: staff', 'recipients: any\n    reason: trial').replace(
        'staff: { type: address, source: managed, within: { domain: ours } }',
        'staff: { type: domain, source: managed, use: deny }',
      ),
    );
    await api.database.lists.add('staff', ['ann@example.com', 'bob@example.com'], change);
    const other = await explain(id, `?againstRevision=${domains}`);
    expect(other.body).toMatchObject({ same: true, decidedBy: { lists: { staff: staffRevision } } });
  });

  test('a look-up that failed stays unknown', async () => {
    const id = await recorded(
      {
        facts: { listener: 'inside', ip: '203.0.113.9', sender: { unknown: 'time-out' } },
        by: 'mail/blocked-sender',
        reason: 'quit',
      },
      [],
    );
    const { body } = await explain(id);
    expect(body).toMatchObject({ same: true, mail: { verdict: 'defer', by: 'mail/blocked-sender' }, recipients: [] });
    expect((body.mail.steps as unknown[]).at(-1)).toMatchObject({
      result: 'unknown',
      because: [{ value: { unknown: 'time-out' }, result: 'unknown' }],
    });
  });

  test('a sender that was refused at once: the reply counts', async () => {
    const facts = { listener: 'inside', ip: '203.0.113.9', sender: 'no-domain' };
    const more = { facts, by: 'builtin/bad-sender', reason: 'sender-refused', reply: '553 5.1.7 another text' };
    const { body } = await explain(await recorded(more, []));
    expect(body.differences).toEqual([expect.objectContaining({ field: 'reply', recorded: '553 5.1.7 another text' })]);
  });
});

describe('what cannot be explained', () => {
  test('is said', async () => {
    const id = await recorded({}, []);
    expectProblem(await explain(newId()), 404, 'not-found');
    expectProblem(await api.ask('/v1/transactions/nonsense/explain'), 404, 'not-found');
    expectProblem(await explain(id, '?againstRevision=999'), 404, 'not-found');
    for (const query of ['?againstRevision=0', '?againstRevision=one', '?againstRevision=1.5', '?against=1']) {
      expectProblem(await explain(id, query), 400, 'invalid-request');
    }
    expectProblem(
      await api.ask(`/v1/transactions/${publicId('txn', id)}/explain`, { key: null }),
      401,
      'unauthenticated',
    );
  });

  test('a revision that this version does not understand', async () => {
    const { revision: old } = await api.database.policies.saveRevision({
      policy: 'main',
      source: 'policy: main\nold-section: {}\n',
      digest: `sha256:${'0'.repeat(64)}`,
      author: 'test',
    });
    const id = await recorded({}, []);
    expectProblem(await explain(id, `?againstRevision=${String(old.revision)}`), 409, 'conflict');
  });
});
