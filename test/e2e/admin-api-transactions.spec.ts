/** The audit through the API: what the gateway recorded is found and told whole. The queue and the gateways, too. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { parsePublicId, publicId, traceOf, type AttemptRecord, type AuditEvent, type TransactionRecord } from '#audit';
import { newId } from '#database';
import { ApiUnderTest, smallPolicy } from './admin-api-support.js';

let api: ApiUnderTest;
const sessionId = newId();
const accepted = newId();
const refused = newId();
const first = newId();
const second = newId();

function record(more: Partial<TransactionRecord>): TransactionRecord {
  return {
    listener: 'inside',
    clientPort: 40_001,
    helo: 'client.example',
    protocol: 'ESMTP',
    startedAtMs: Date.now() - 1000,
    snapshot: { policy: 'main', revision: 1, digest: 'sha256:00', lists: { staff: 3 } },
    client: 'none',
    facts: { ip: '203.0.113.9', listener: 'inside', sender: 'a@x.example' },
    parameters: { sizeBytes: 1234, body: '8BITMIME' },
    recipients: [],
    by: '',
    ...more,
  };
}

const RECIPIENTS = [
  {
    id: first,
    original: 'ann@old.example',
    address: 'ann@example.com',
    verdict: 'accept',
    by: '',
    reply: '250 2.1.5 Recipient OK',
    route: 'inside',
    facts: { recipient: 'ann@example.com' },
  },
  {
    id: second,
    original: 'bob@example.com',
    address: 'bob@example.com',
    verdict: 'accept',
    by: 'rcpt/known',
    reply: '250 2.1.5 Recipient OK',
    route: 'inside',
    facts: {},
  },
] as const;

function attempt(more: Partial<AttemptRecord>): AttemptRecord {
  return {
    attempt: 1,
    route: 'inside',
    routeRevision: 1,
    host: 'mbx1.inside',
    address: '192.0.2.25',
    port: 25,
    stage: 'content',
    reply: '',
    startedAtMs: Date.now(),
    tookMs: 12,
    ...more,
  };
}

beforeAll(async () => {
  api = await ApiUnderTest.start();
  await api.publish(smallPolicy());
  const base = { sessionId, clientAddress: '203.0.113.9' };
  const acceptance: AuditEvent = {
    ...base,
    id: newId(),
    transactionId: accepted,
    sender: 'a@x.example',
    kind: 'transaction.accepted',
    data: record({
      recipients: RECIPIENTS,
      reply: `250 2.0.0 Accepted [${traceOf(accepted)}]`,
      message: {
        sizeBytes: 1300,
        digest: 'ab'.repeat(32),
        messageId: '<m1@x.example>',
        from: 'A <a@x.example>',
        subject: '<script>alert(1)</script>',
      },
    }),
  };
  const judged = RECIPIENTS.map((data): AuditEvent => ({
    ...base,
    id: newId(),
    transactionId: accepted,
    sender: 'a@x.example',
    recipient: data.address,
    kind: 'recipient.judged',
    data,
  }));
  await api.database.messages.accept({
    id: accepted,
    sender: 'a@x.example',
    content: { kind: 'inline', bytes: Buffer.from('Subject: x\r\n\r\nx\r\n') },
    sizeBytes: 18,
    body8bit: false,
    policyRevision: 1,
    recipients: RECIPIENTS.map(({ id, address, route }) => ({ id, address, route })),
    leased: false,
    events: [acceptance, ...judged],
  });
  api.database.audit.append([
    {
      ...base,
      id: newId(),
      transactionId: refused,
      sender: '',
      recipient: 'eve@elsewhere.example',
      kind: 'transaction.refused',
      data: record({
        recipients: [
          {
            id: newId(),
            original: 'eve@elsewhere.example',
            address: 'eve@elsewhere.example',
            verdict: 'reject',
            by: 'builtin/relay-denied',
            reply: '550 5.7.1 Relaying denied',
            facts: {},
          },
        ],
        by: 'builtin/relay-denied',
        reply: '550 5.7.1 Relaying denied',
        reason: 'all-recipients-refused',
      }),
    },
    {
      id: newId(),
      transactionId: accepted,
      recipient: 'bob@example.com',
      sender: 'a@x.example',
      kind: 'delivery.deferred',
      data: attempt({ stage: 'rcpt', reply: '450 4.2.1 Try again', code: 450, nextAttemptAtMs: Date.now() + 60_000 }),
    },
    {
      ...base,
      id: newId(),
      kind: 'session.ended',
      data: {
        listener: 'inside',
        clientPort: 40_001,
        helo: 'client.example',
        startedAtMs: Date.now() - 2000,
        endReason: 'quit',
        commands: 9,
        errors: 0,
        transactions: 2,
        bytesIn: 1500,
        bytesOut: 300,
      },
    },
  ]);
  await api.database.audit.flush();
});
afterAll(() => api.stop());

async function find(query: Readonly<Record<string, string>>): Promise<string[]> {
  const answer = await api.ask(`/v1/transactions?${new URLSearchParams(query).toString()}`, { key: api.viewerKey });
  expect(answer.status).toBe(200);
  return (answer.body.data as { id: string }[]).map(({ id }) => parsePublicId('txn', id) ?? '');
}

describe('searching', () => {
  const hour = 3_600_000;
  const ago = (ms: number): string => new Date(Date.now() - ms).toISOString();

  test.each<[Record<string, string>, readonly string[]]>([
    [{}, [refused, accepted]],
    [{ sender: 'a@x.example' }, [accepted]],
    [{ sender: 'A@X.EXAMPLE' }, [accepted]],
    [{ sender: '<>' }, [refused]],
    [{ senderDomain: 'x.example' }, [accepted]],
    [{ recipient: 'ann@example.com' }, [accepted]],
    [{ recipient: 'bob@example.com' }, [accepted]],
    [{ recipient: 'eve@elsewhere.example' }, [refused]],
    [{ recipient: 'nobody@example.com' }, []],
    [{ ip: '203.0.113.9' }, [refused, accepted]],
    [{ ip: '203.0.113.0/24' }, [refused, accepted]],
    [{ ip: '203.0.113.8' }, []],
    [{ verdict: 'accepted' }, [accepted]],
    [{ verdict: 'refused' }, [refused]],
    [{ verdict: 'abandoned' }, []],
    [{ rule: 'builtin/relay-denied' }, [refused]],
    [{ rule: 'rcpt/known' }, [accepted]],
    [{ messageId: '<m1@x.example>' }, [accepted]],
    [{ listener: 'inside' }, [refused, accepted]],
    [{ listener: 'outside' }, []],
    [{ 'at.gte': ago(hour) }, [refused, accepted]],
    [{ 'at.lt': ago(hour) }, []],
    [{ verdict: 'accepted', sender: 'a@x.example', ip: '203.0.113.9', rule: 'rcpt/known' }, [accepted]],
    [{ verdict: 'refused', sender: 'a@x.example' }, []],
  ])('%j', async (query, expected) => {
    expect(await find(query)).toEqual(expected);
  });

  test('tells in a line what it was', async () => {
    const { body } = await api.ask('/v1/transactions?verdict=accepted');
    expect(body.data[0]).toMatchObject({
      id: publicId('txn', accepted),
      trace: traceOf(accepted),
      verdict: 'accepted',
      sender: 'a@x.example',
      recipients: ['ann@example.com', 'bob@example.com'],
      ip: '203.0.113.9',
      client: 'none',
      revision: 1,
      messageId: '<m1@x.example>',
      subject: '<script>alert(1)</script>',
    });
  });

  test('pages with a cursor and a link', async () => {
    const page = await api.ask('/v1/transactions?limit=1&ip=203.0.113.9');
    expect(page.body.data).toHaveLength(1);
    const link = /<([^>]+)>; rel="next"/u.exec(page.headers.get('link') ?? '')?.[1] ?? '';
    expect(link).toContain('ip=203.0.113.9');
    const rest = await api.ask(link);
    expect(rest.body.data).toHaveLength(1);
    expect(rest.body.data[0].id).not.toBe(page.body.data[0].id);
  });
});

describe('one transaction', () => {
  test.each(['txn id', 'trace', 'trace in lower case'])('is told whole, by %s', async (form) => {
    const trace = traceOf(accepted);
    const id = form === 'txn id' ? publicId('txn', accepted) : form === 'trace' ? trace : trace.toLowerCase();
    const { status, body } = await api.ask(`/v1/transactions/${id}`);
    expect(status).toBe(200);
    expect(body).toMatchObject({
      id: publicId('txn', accepted),
      verdict: 'accepted',
      reply: `250 2.0.0 Accepted [${trace}]`,
      session: {
        id: publicId('ses', sessionId),
        listener: 'inside',
        ip: '203.0.113.9',
        port: 40_001,
        helo: 'client.example',
        protocol: 'ESMTP',
        endReason: 'quit',
        counters: { commands: 9, bytesIn: 1500 },
      },
      envelope: { sender: 'a@x.example', sizeBytes: 1234, body: '8BITMIME' },
      message: { sizeBytes: 1300, subject: '<script>alert(1)</script>' },
      decision: { policy: 'main', revision: 1, lists: { staff: 3 }, client: 'none', facts: { ip: '203.0.113.9' } },
    });
    expect(body.recipients[0]).toMatchObject({
      id: publicId('rcp', first),
      original: 'ann@old.example',
      address: 'ann@example.com',
      route: 'inside',
      state: 'queued',
      attempts: [],
    });
    expect(body.recipients[1]).toMatchObject({
      id: publicId('rcp', second),
      by: 'rcpt/known',
      attempts: [
        {
          attempt: 1,
          outcome: 'deferred',
          host: 'mbx1.inside',
          port: 25,
          stage: 'rcpt',
          reply: '450 4.2.1 Try again',
          code: 450,
          nextAttemptAt: expect.any(String),
        },
      ],
    });
    expect((body.events as { kind: string }[]).map(({ kind }) => kind)).toEqual(
      expect.arrayContaining(['transaction.accepted', 'delivery.deferred']),
    );
  });

  test('that was refused', async () => {
    const { body } = await api.ask(`/v1/transactions/${publicId('txn', refused)}`);
    expect(body).toMatchObject({
      verdict: 'refused',
      reason: 'all-recipients-refused',
      decision: { by: 'builtin/relay-denied' },
      recipients: [
        { verdict: 'reject', by: 'builtin/relay-denied', reply: '550 5.7.1 Relaying denied', state: 'refused' },
      ],
    });
    expect(body.message).toBeUndefined();
  });
});

describe('the queue', () => {
  test('lists what waits, and pages', async () => {
    const all = (await api.ask('/v1/queue', { key: api.viewerKey })).body;
    expect(all.data).toHaveLength(2);
    expect(all.data[0]).toMatchObject({
      transaction: publicId('txn', accepted),
      route: 'inside',
      state: 'queued',
      attempts: 0,
    });
    const page = (await api.ask('/v1/queue?limit=1')).body;
    const rest = (await api.ask(`/v1/queue?limit=1&after=${String(page.next)}`)).body;
    expect([...page.data, ...rest.data]).toEqual(all.data);
    expect((await api.ask('/v1/queue?route=elsewhere')).body).toEqual({ data: [] });
  });

  test('keeps a policy from dropping a route that mail still names', async () => {
    const answer = await api.ask('/v1/policies/main', {
      method: 'PUT',
      body: smallPolicy(9999),
      type: 'application/yaml',
      headers: { 'If-Match': '*' },
    });
    expect(answer.status).toBe(422);
    expect(answer.body.errors[0]).toMatchObject({ code: 'Q1', pointer: '/routes' });
    expect(answer.body.errors[0].message).toContain('`inside`');
    expect(answer.body.errors[0].message).toContain('2');
  });
});

test('gateways, whether they live and which revision they run', async () => {
  expect((await api.ask('/v1/gateways')).body).toEqual({ data: [] });
  const node = await api.database.nodes.join('node-1');
  expect((await api.ask('/v1/gateways')).body.data).toEqual([
    expect.objectContaining({ name: 'node-1', alive: true, startedAt: expect.any(String) }),
  ]);
  await node.leave();
  expect((await api.ask('/v1/gateways')).body.data).toEqual([
    expect.objectContaining({ name: 'node-1', alive: false }),
  ]);
});
