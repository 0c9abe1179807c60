/** Asking a policy about mail that nobody sent: live, a revision, a draft, a document; facts or a message. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ApiUnderTest, expectProblem, smallPolicy, type Answer } from './admin-api-support.js';

const MESSAGE_RULES = `  rcpt:
    - name: strangers
      when: { sender.local: [stranger] }
      greylist: { delay: 5m, remember: 35d }
  message:
    - name: marked
      when: { from.domain: ours }
      set-header: { X-Odd: 'yes' }
      tag: odd
    - name: programs
      when: { attachment.extension: [exe] }
      reject: 550 5.7.1 No programs
    - name: night
      when: { time: { from: '00:00', to: '23:59', zone: UTC }, subject: [night] }
      hold: mixed
routing:`;
const POLICY = smallPolicy().replace('routing:', MESSAGE_RULES);
const OTHER = POLICY.replace('reject: 550 5.7.1 Sender blocked', 'defer: 451 4.7.1 Later');

let api: ApiUnderTest;
let first = 0;

beforeAll(async () => {
  api = await ApiUnderTest.start();
  first = await api.publish(OTHER);
  await api.publish(POLICY);
  await api.database.lists.add('staff', ['ann@example.com', 'bob@example.com'], { actor: 'test' });
  await api.database.lists.add('blocked-senders', ['spam@x.example'], { actor: 'test' });
});
afterAll(() => api.stop());

const GIVEN = { listener: 'inside', ip: '203.0.113.9', sender: 'a@x.example', recipient: 'ann@example.com' };

function simulate(body: unknown): Promise<Answer> {
  return api.ask('/v1/simulations', { method: 'POST', body, key: api.viewerKey });
}

async function only(given: object, more: object = {}, request: object = {}): Promise<Record<string, unknown>> {
  const answer = await simulate({ cases: [{ given: { ...GIVEN, ...given }, ...more }], ...request });
  if (answer.status !== 200) throw new Error(answer.text);
  return (answer.body as { cases: Record<string, unknown>[] }).cases[0] ?? {};
}

const MAIL = [
  'From: Ann <ann@example.com>',
  'Subject: a program',
  'MIME-Version: 1.0',
  'Content-Type: multipart/mixed; boundary=b',
  '',
  '--b',
  '',
  'text',
  '--b',
  'Content-Type: application/octet-stream; name="x.exe"',
  '',
  'MZ',
  '--b--',
  '',
].join('\n');

describe('by the live policy', () => {
  test('verdict, route, effects, steps, with the lists as they are now', async () => {
    const { status, body } = await simulate({ cases: [{ name: 'plain', given: GIVEN }] });
    expect(status).toBe(200);
    expect(body).toMatchObject({
      decidedBy: { policy: 'main', revision: first + 1, lists: { 'blocked-senders': 1, staff: expect.any(Number) } },
      cases: [
        {
          name: 'plain',
          client: 'none',
          mail: { verdict: 'accept', by: '' },
          recipients: [
            {
              recipient: { original: 'ann@example.com', final: 'ann@example.com' },
              verdict: 'accept',
              route: 'capture',
              tags: [],
            },
          ],
        },
      ],
    });
    expect(await only({ sender: 'spam@x.example' })).toMatchObject({
      recipients: [
        {
          verdict: 'reject',
          by: 'mail/blocked-sender',
          reply: '550 5.7.1 Sender blocked',
          wouldChangeIf: [expect.stringContaining('did not hold: no rule would object')],
        },
      ],
      text: expect.arrayContaining([expect.stringContaining('covered by spam@x.example of list blocked-senders')]),
    });
    expect(await only({ recipient: 'eve@example.com' })).toMatchObject({
      recipients: [{ verdict: 'reject', by: 'builtin/no-such-recipient' }],
    });
  });

  test('a list that changes counts at once; members may be given for the case', async () => {
    await api.database.lists.add('staff', ['new@example.com'], { actor: 'test' });
    expect(await only({ recipient: 'new@example.com' })).toMatchObject({ recipients: [{ verdict: 'accept' }] });
    const lists = { staff: ['eve@example.com'] };
    expect(await only({ recipient: 'eve@example.com' }, { lists })).toMatchObject({
      recipients: [{ verdict: 'accept' }],
    });
    expect(await only({ recipient: 'ann@example.com' }, { lists })).toMatchObject({
      recipients: [{ verdict: 'reject' }],
    });
  });

  test('what is not known, what is remembered, and how late it is', async () => {
    expect(await only({ sender: 'unknown' })).toMatchObject({ recipients: [{ verdict: 'defer' }] });
    expect(await only({ ip: { unknown: 'proxy' } })).toMatchObject({ recipients: [{ by: 'connect/blocked-network' }] });
    const stranger = { sender: 'stranger@x.example' };
    expect(await only(stranger)).toMatchObject({ recipients: [{ verdict: 'defer', by: 'rcpt/strangers' }] });
    expect(await only({ ...stranger, greylist: 'passed' })).toMatchObject({ recipients: [{ verdict: 'accept' }] });
    expect(await only({ subject: ['night'], size: 100 })).toMatchObject({
      recipients: [{ verdict: 'hold', queue: 'mixed' }],
    });
  });

  test('without a recipient MAIL FROM is all; without steps the decisions are', async () => {
    const { recipient: _recipient, ...given } = GIVEN;
    const { body } = await simulate({ cases: [{ given }], steps: false });
    expect(body).toMatchObject({
      cases: [
        { mail: { verdict: 'accept', steps: [] }, recipients: [], text: ['transaction: accept, no rule objected'] },
      ],
    });
  });
});

describe('a message', () => {
  test.each([
    ['text', { text: MAIL }],
    ['base64', { base64: Buffer.from(MAIL.replaceAll('\n', '\r\n')).toString('base64') }],
  ])('as %s: its facts are read', async (_kind, message) => {
    expect(await only({}, { message })).toMatchObject({
      facts: { from: ['ann@example.com'], 'attachment.extension': ['exe'], size: MAIL.replaceAll('\n', '\r\n').length },
      recipients: [{ verdict: 'reject', by: 'message/programs', tags: ['odd'] }],
      answer: { verdict: 'reject', by: 'message/programs', reply: '550 5.7.1 No programs' },
    });
  });

  test('what is given counts more; changes to the header are told', async () => {
    expect(await only({ 'attachment.extension': ['pdf'] }, { message: { text: MAIL } })).toMatchObject({
      recipients: [{ verdict: 'accept', tags: ['odd'], header: [{ op: 'set', name: 'X-Odd', value: 'yes' }] }],
    });
  });
});

describe('by another policy', () => {
  const blocked = { sender: 'spam@x.example' };

  test('a revision, a document, a draft', async () => {
    expect(await only(blocked, {}, { revision: first })).toMatchObject({ recipients: [{ reply: '451 4.7.1 Later' }] });
    const { body } = await simulate({ document: OTHER, cases: [{ given: { ...GIVEN, ...blocked } }] });
    expect(body).toMatchObject({ decidedBy: { revision: 0 }, cases: [{ recipients: [{ reply: '451 4.7.1 Later' }] }] });
    const created = await api.ask('/v1/policies/main/drafts', { method: 'POST', body: { revision: first } });
    const draft = (created.body as { id: string }).id;
    expect(await only(blocked, {}, { draft })).toMatchObject({ recipients: [{ reply: '451 4.7.1 Later' }] });
  });

  test('what is none is refused', async () => {
    const cases = [{ given: GIVEN }];
    expectProblem(await simulate({ document: 'policy: x', cases }), 422, 'policy-refused');
    expectProblem(await simulate({ revision: 999, cases }), 404, 'not-found');
    expectProblem(await simulate({ draft: 'drf_nonsense', cases }), 404, 'not-found');
    expectProblem(await simulate({ revision: 1, document: POLICY, cases }), 400, 'invalid-request');
  });
});

describe('many at once', () => {
  test('a hundred, in their order, with several recipients', async () => {
    const cases = Array.from({ length: 100 }, (_, index) => ({
      name: String(index),
      given: { ...GIVEN, recipient: ['ann@example.com', 'eve@example.com', 'x@else.example'] },
    }));
    const { status, body } = await simulate({ cases, steps: false });
    expect(status).toBe(200);
    const answers = (body as { cases: { name: string; recipients: { by: string }[] }[] }).cases;
    expect(answers.map(({ name }) => name)).toEqual(cases.map(({ name }) => name));
    expect(answers[99]?.recipients.map(({ by }) => by)).toEqual([
      '',
      'builtin/no-such-recipient',
      'builtin/relay-denied',
    ]);
    expectProblem(await simulate({ cases: [...cases, ...cases] }), 400, 'invalid-request');
  });

  test.each([
    [{ cases: [] }, '/cases', /at least 1/],
    [{ cases: [{ given: { ...GIVEN, lisener: 'x' } }] }, '/cases/0/given/lisener', /did you mean `listener`/],
    [{ cases: [{ given: GIVEN }, { given: { ip: '10.0.0.0/8' } }] }, '/cases/1/given/ip', /no value of `ip`/],
    [{ cases: [{ given: { client: 'x' } }] }, '/cases/0/given/client', /follows from the other facts/],
    [{ cases: [{ given: { 'limit.x': 'exceeded' } }] }, '/cases/0/given/limit.x', /no limit `x`/],
    [{ cases: [{ given: GIVEN, lists: { nobody: [] } }] }, '/cases/0/lists/nobody', /no managed list `nobody`/],
    [{ cases: [{ given: GIVEN, lists: { staff: ['x@else.example'] } }] }, '/cases/0/lists/staff', /./],
    [{ cases: [{ given: GIVEN, message: {} }] }, '/cases/0/message', /either `text` or `base64`/],
    [{ cases: [{ given: GIVEN, message: { base64: '*' } }] }, '/cases/0/message/base64', /base64/],
    [{ cases: [{ given: GIVEN, mesage: {} }] }, '/cases/0/mesage', /unknown field/],
    [{ cases: [{ given: 'x' }] }, '/cases/0/given', /must be an object/],
  ])('%j is refused, and where', async (body, at, message) => {
    const answer = await simulate(body);
    expectProblem(answer, 400, 'invalid-request');
    expect(answer.body.errors).toContainEqual(
      expect.objectContaining({ pointer: at, message: expect.stringMatching(message) as unknown }),
    );
  });

  test('nothing is left of it', async () => {
    const count = async (): Promise<unknown> =>
      api.postgres.query(
        `select (select count(*) from audit_event) as events, (select count(*) from queue) as queued,
           (select count(*) from policy_revision) as revisions, (select count(*) from greylist_entry) as strangers`,
      );
    const before = await count();
    await only({ sender: 'stranger@x.example' }, { message: { text: MAIL } });
    await simulate({ document: OTHER, cases: [{ given: GIVEN }] });
    await api.database.audit.flush();
    expect(await count()).toEqual(before);
    expectProblem(await api.ask('/v1/simulations', { method: 'POST', body: {}, key: null }), 401, 'unauthenticated');
  });
});
