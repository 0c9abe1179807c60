/** Notices as somebody else's parser reads them: Python's email package, which names every defect it finds. */
import { beforeAll, expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { available, describeIf } from '../../../test/support/foreign-programs.js';
import { buildNotice } from './notice.js';
import type { NoticedRecipient, NoticeInput } from './notice.js';

const READ = `
import base64, email, email.policy, json, sys
def read(text):
    message = email.message_from_bytes(base64.b64decode(text), policy=email.policy.default)
    defects = [str(d) for part in message.walk() for d in part.defects]
    for part in message.walk():
        defects += [name + ': ' + str(d) for name, value in part.items() for d in getattr(value, 'defects', [])]
    parts = message.get_payload() if message.is_multipart() else []
    status = [[[n, str(v)] for n, v in group.items()] for group in parts[1].get_payload()] if parts else []
    returned = parts[2].get_payload() if parts else ''
    body = message.get_body(('plain',))
    return {'defects': defects, 'type': message.get_content_type(), 'subject': str(message['subject']),
      'report': message.get_param('report-type'), 'types': [p.get_content_type() for p in parts], 'status': status,
      'text': body.get_content().replace('\\r', '') if body else '', 'to': str(message['to']),
      'returned': returned if isinstance(returned, str) else [m['subject'] for m in returned]}
json.dump([read(text) for text in json.load(sys.stdin)], sys.stdout)
`;

interface Read {
  readonly defects: readonly string[];
  readonly type: string;
  readonly subject: string;
  readonly report: string | null;
  readonly types: readonly string[];
  readonly status: readonly (readonly (readonly [name: string, value: string])[])[];
  readonly text: string;
  readonly to: string;
  readonly returned: string | readonly string[];
}

const refused: NoticedRecipient = {
  address: 'bob@there.test',
  originalRecipient: 'rfc822;old+2Bbob@there.test',
  status: '5.1.1',
  text: `550 5.1.1 no such user ${'and so on '.repeat(40)}`,
  fromRemote: true,
  host: 'mx.there.test',
  expired: false,
};
const input: NoticeInput = {
  action: 'failed',
  noticeId: '01a20445-2fe2-7090-9e90-ca9588d58b3c',
  messageId: '01a20445-2fe2-7090-9e90-ca9588d58b3b',
  hostname: 'gw.test',
  to: 'ann@here.test',
  acceptedAtMs: 0,
  nowMs: 86_400_000,
  retryUntilMs: 172_800_000,
  envelopeId: 'Q+2B1',
  recipients: [refused],
  returned: { kind: 'header', bytes: Buffer.from('Subject: x\r\nFrom: a@here.test\r\n\r\nbody\r\n'), smtpUtf8: false },
};
const whole = Buffer.from(
  'Subject: whole\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n',
);
const CASES: Readonly<Record<string, Partial<NoticeInput>>> = {
  failed: {},
  expired: {
    recipients: [{ ...refused, expired: true, fromRemote: false, status: '4.4.1', text: 'connection refused' }],
  },
  delayed: { action: 'delayed', recipients: [refused, { ...refused, address: 'b\u00f6b@there.test' }] },
  relayed: { action: 'relayed' },
  delivered: { action: 'delivered' },
  whole: { returned: { kind: 'message', bytes: whole, smtpUtf8: false } },
  worded: {
    words: {
      subject: 'Nicht zustellbar \u2013 bitte pr\u00fcfen: {gateway}, {retry-until} \u00fcber alle Zeilen hinweg',
      text: 'Guten Tag,\n\nes tut uns leid. {gateway}\n',
    },
  },
  plain: { form: 'plain', words: { text: 'Nur Text.' } },
};

describeIf(available('python3'), 'notices in the eyes of another', () => {
  const read = new Map<string, Read>();

  beforeAll(() => {
    const contents = Object.values(CASES).map((more) =>
      Buffer.from(buildNotice({ ...input, ...more }).content).toString('base64'),
    );
    const { stdout, stderr } = spawnSync('python3', ['-c', READ], {
      input: JSON.stringify(contents),
      encoding: 'utf8',
    });
    if (stdout === '') throw new Error(stderr);
    const all = JSON.parse(stdout) as Read[];
    Object.keys(CASES).forEach((name, at) => read.set(name, all[at]!));
  });

  const of = (name: string): Read => read.get(name)!;

  test.each(Object.keys(CASES))('%s: nothing is wrong with it', (name) => {
    expect(of(name)).toMatchObject({ defects: [], to: 'ann@here.test' });
  });

  test.each(['failed', 'expired', 'delayed', 'relayed', 'delivered', 'whole', 'worded'])(
    '%s: a multipart/report of RFC 6522 with the fields of RFC 3464 in their order',
    (name) => {
      const { type, report, types, status } = of(name);
      expect([type, report]).toEqual(['multipart/report', 'delivery-status']);
      const third = name === 'whole' ? 'message/rfc822' : 'text/rfc822-headers';
      expect(types).toEqual(['text/plain', 'message/delivery-status', third]);
      const [message = [], ...recipients] = status;
      expect(Object.fromEntries(message)).toMatchObject({
        'Reporting-MTA': 'dns; gw.test',
        'Original-Envelope-Id': 'Q+1',
      });
      for (const fields of recipients) {
        const names = fields.map(([field]) => field);
        expect(names.filter((field) => field !== 'Remote-MTA' && field !== 'Will-Retry-Until')).toEqual([
          'Original-Recipient',
          'Final-Recipient',
          'Action',
          'Status',
          'Diagnostic-Code',
          'Last-Attempt-Date',
        ]);
        expect(Object.fromEntries(fields)['Status']).toMatch(/^[245]\.\d{1,3}\.\d{1,3}$/);
      }
    },
  );

  test('what is said of each', () => {
    const actions = ['failed', 'expired', 'delayed', 'relayed', 'delivered'].map((name) => {
      const fields = Object.fromEntries(of(name).status[1] ?? []);
      return [fields['Action'], fields['Status'], 'Will-Retry-Until' in fields];
    });
    expect(actions).toEqual([
      ['failed', '5.1.1', false],
      ['failed', '4.4.7', false],
      ['delayed', '5.1.1', true],
      ['relayed', '5.1.1', false],
      ['delivered', '5.1.1', false],
    ]);
    expect(of('delayed').status).toHaveLength(3);
    expect(of('whole').returned).toEqual(['whole']);
    expect(of('failed').returned).toContain('Subject: x');
    expect(of('failed').returned).not.toContain('body');
  });

  test('words of the policy: umlauts, placeholders, one line of subject', () => {
    expect(of('worded').subject).toBe(
      'Nicht zustellbar \u2013 bitte pr\u00fcfen: gw.test, Sat, 3 Jan 1970 00:00:00 +0000 \u00fcber alle Zeilen hinweg',
    );
    expect(of('worded').text).toMatch(/^Guten Tag,\n\nes tut uns leid\. gw\.test\n\n<bob@there\.test>\n/);
    expect(of('plain')).toMatchObject({ type: 'text/plain', types: [] });
    expect(of('plain').text).toMatch(/^Nur Text\.\n\n<bob@there\.test>\n[\s\S]*----\nSubject: x\nFrom: a@here\.test\n/);
  });
});
