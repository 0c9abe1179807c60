import { describe, expect, it } from '@jest/globals';
import { check, compile } from './compile.js';
import { explainNotice } from './explain.js';
import { judgeMail, judgeNotice, judgeRecipient } from './judge.js';
import { judgeMessage } from './judge-message.js';
import { createSnapshot } from './snapshot.js';
import type { Facts, RecipientDecision } from './types.js';

const POLICY = {
  policy: 'signing',
  listeners: {
    mx: { port: 25, exposure: 'internet' },
    inside: { port: 2525, exposure: 'internal' },
  },
  lists: {
    ours: { type: 'domain', entries: ['example.com', '.example.com', 'example.org'] },
    partners: { type: 'domain', entries: ['partner.example'] },
  },
  clients: [
    {
      name: 'printers',
      match: { ip: '10.9.0.0/16', listener: 'inside' },
      relay: { to: 'ours' },
      senders: ['scan@example.com'],
    },
    { name: 'apps', match: { ip: '10.0.0.0/8', listener: 'inside' }, relay: 'anywhere', senders: 'ours' },
  ],
  domains: [{ match: 'ours', recipients: 'any', reason: 'a test' }],
  acl: {
    message: [{ name: 'mark', when: { client: 'none' }, tag: 'outside' }],
  },
  routing: [{ name: 'all', route: 'out' }],
  routes: { out: { mx: true } },
  signing: [
    { domain: 'example.com', selector: 's1', key: 'secret/dkim-s1', when: { client: ['apps'] } },
    { domain: 'example.com', selector: 'ed', key: 'secret/dkim-ed', unless: { 'recipient.domain': 'partners' } },
    { domain: 'example.org', selector: '2026', key: 'secret/dkim-org' },
  ],
};

type Document = typeof POLICY;
const without = <Key extends keyof Document>(key: Key): Omit<Document, Key> => {
  const { [key]: _left, ...rest } = POLICY;
  return rest;
};

function snapshotOf(document: unknown): ReturnType<typeof createSnapshot> {
  const result = compile(document);
  if (!result.ok) throw new Error(JSON.stringify(result.findings));
  return createSnapshot(result.policy, new Map());
}

const TIME = '2026-11-22T10:00:00Z';
const APP: Facts = { ip: '10.1.2.3', listener: 'inside', helo: 'app', sender: 'a@example.com', time: TIME };

function judged(facts: Facts, recipient: string): RecipientDecision {
  const snapshot = snapshotOf(POLICY);
  return judgeRecipient(snapshot, { ...facts, recipient }, judgeMail(snapshot, facts));
}

function names({ signatures }: RecipientDecision): readonly string[] {
  return (signatures ?? []).map(({ domain, selector, secret }) => `${domain}/${selector} ${secret}`);
}

describe('which keys sign', () => {
  it('is every entry of the domain of the sender whose conditions hold', () => {
    expect(names(judged(APP, 'b@y.example'))).toEqual(['example.com/s1 dkim-s1', 'example.com/ed dkim-ed']);
    expect(names(judged(APP, 'b@partner.example'))).toEqual(['example.com/s1 dkim-s1']);
    expect(names(judged({ ...APP, sender: 'a@news.example.com' }, 'b@y.example'))).toHaveLength(2);
    expect(names(judged({ ...APP, sender: 'a@example.org' }, 'b@y.example'))).toEqual(['example.org/2026 dkim-org']);
    expect(names(judged({ ...APP, ip: '10.9.0.1', sender: 'scan@example.com' }, 'b@example.org'))).toEqual([
      'example.com/ed dkim-ed',
    ]);
  });

  it('of mail of the null sender is left to its author', () => {
    expect(names(judged({ ...APP, sender: '' }, 'b@y.example'))).toHaveLength(3);
  });

  it('is none for a client that nobody knows, whatever the entry says', () => {
    const stranger = { ...APP, ip: '203.0.113.9', listener: 'mx' };
    expect(judged(stranger, 'b@example.com')).toMatchObject({ verdict: 'accept', client: 'none' });
    expect(judged(stranger, 'b@example.com')).not.toHaveProperty('signatures');
  });

  it('is none for what is refused', () => {
    expect(judged({ ...APP, ip: '10.9.0.1', sender: 'scan@example.com' }, 'b@y.example')).not.toHaveProperty(
      'signatures',
    );
  });

  it('stays as it was decided when message rules run, and is decided anew for a release', () => {
    const snapshot = snapshotOf(POLICY);
    const facts = { ...APP, recipient: 'b@y.example' };
    const decided = judgeRecipient(snapshot, facts, judgeMail(snapshot, APP));
    expect(names(judgeMessage(snapshot, { facts: { ...facts, size: 10 }, decided }))).toEqual(names(decided));
    const { route: _route, signatures: _signatures, ...held } = decided;
    expect(names(judgeMessage(snapshot, { facts: { ...facts, size: 10 }, decided: held }))).toEqual(names(decided));
  });

  it('is every entry without a client for notices of our own', () => {
    const snapshot = snapshotOf(POLICY);
    const facts = { sender: '', recipient: 'a@example.com', time: TIME };
    expect(names(judgeNotice(snapshot, facts))).toEqual(['example.com/ed dkim-ed', 'example.org/2026 dkim-org']);
    expect(explainNotice(snapshot, facts).lines.join('\n')).toContain('signed as example.com (ed)');
  });

  it('is nothing that a failed look-up decides: the mail waits', () => {
    const document = {
      ...POLICY,
      signing: [{ domain: 'example.com', selector: 's1', key: 'secret/k', when: { rdns: ['.example.com'] } }],
    };
    const snapshot = snapshotOf(document);
    const facts = { ...APP, rdns: { unknown: 'time-out' }, recipient: 'b@y.example' };
    expect(judgeRecipient(snapshot, facts, judgeMail(snapshot, facts))).toMatchObject({
      verdict: 'defer',
      by: 'signing/example.com/s1',
      reply: { code: 451 },
    });
  });
});

function findingsOf(signing: unknown, more: object = {}): readonly string[] {
  return compile({ ...POLICY, ...more, signing }).findings.map(
    ({ code, severity, pointer, message }) => `${code} ${severity} ${pointer} ${message}`,
  );
}

describe('findings about keys', () => {
  const entry = { domain: 'example.com', selector: 's1', key: 'secret/k' };

  it('T2 blocks two keys under one name', () => {
    expect(findingsOf([entry, { ...entry, key: 'secret/other' }])).toContainEqual(
      expect.stringMatching(/^T2 blocks \/signing\/1\/selector a second key for `example\.com`/),
    );
    expect(findingsOf([entry, { ...entry, selector: 's2' }]).join()).not.toContain('T2');
  });

  it.each([
    [{ ...entry, domain: 'example.net' }, 'no client may write as `example.net`'],
    [{ ...entry, domain: 'example.org', when: { client: 'printers' } }, 'no client that it is for may write as'],
    [{ ...entry, when: { client: 'none' } }, 'no client that it is for may write as'],
  ])('T2 warns of a domain that nobody may write as: %j', (signing, told) => {
    expect(findingsOf([signing]).join('\n')).toContain(`T2 warns /signing/0/domain ${told}`);
  });

  it.each([
    { ...entry, domain: 'news.example.com' },
    { ...entry, domain: 'com' },
    { ...entry, when: { client: { not: 'apps' } } },
  ])('T2 says nothing where somebody may: %j', (signing) => {
    expect(findingsOf([signing]).join()).not.toContain('T2');
  });

  it.each([
    [{ domain: 'example.com', selector: 's1' }, 'D2 blocks /signing/0/key missing `key`'],
    [{ ...entry, key: '-----BEGIN PRIVATE KEY-----' }, 'D3 blocks /signing/0/key this can not stand here'],
    [{ ...entry, selector: 'S 1' }, 'D3 blocks /signing/0/selector'],
    [{ ...entry, domain: 'example..com' }, 'D3 blocks /signing/0/domain'],
    [{ ...entry, when: { subject: ['x'] } }, 'D6 blocks /signing/0/when/subject'],
  ])('are told of %j', (signing, told) => {
    expect(findingsOf([signing]).join('\n')).toContain(told);
  });
});

describe('which key seals', () => {
  const sealing = [
    { domain: 'example.com', selector: 's1', key: 'secret/dkim-s1', when: { 'recipient.domain': ['example.com'] } },
    { domain: 'example.com', selector: 'arc', key: 'secret/arc', unless: { client: 'apps' } },
  ];
  const sealed = (facts: Facts, recipient: string): string | undefined => {
    const snapshot = snapshotOf({ ...POLICY, sealing });
    return judgeRecipient(snapshot, { ...facts, recipient }, judgeMail(snapshot, facts)).seal?.secret;
  };

  it('is the first that holds, also for strangers, whose mail is never signed', () => {
    const stranger = { ...APP, ip: '203.0.113.9', listener: 'mx', sender: 'x@y.example' };
    expect(sealed(stranger, 'b@example.com')).toBe('dkim-s1');
    expect(sealed(stranger, 'b@example.org')).toBe('arc');
    expect(sealed(APP, 'b@example.org')).toBeUndefined();
    expect(sealed(stranger, 'b@y.example')).toBeUndefined();
  });

  it('makes the checks that it tells of', () => {
    const { policy } = snapshotOf({ ...POLICY, sealing });
    expect([...policy.neededFacts.mail]).toEqual(expect.arrayContaining(['spf', 'dkim', 'dmarc', 'arc']));
    expect(policy.contentFacts?.has('arc')).toBe(true);
    expect(snapshotOf(POLICY).policy.neededFacts.mail.has('arc')).toBe(false);
  });

  it('T2 blocks another key under the name of one that signs', () => {
    const other = [{ domain: 'example.com', selector: 'ed', key: 'secret/other' }];
    expect(findingsOf(POLICY.signing, { sealing: other })).toContainEqual(
      expect.stringMatching(/^T2 blocks \/sealing\/0\/selector/),
    );
    expect(findingsOf(POLICY.signing, { sealing }).join()).not.toContain('T2');
  });

  it('can be asked for by a test of the document', () => {
    const test = (expected: string): readonly string[] =>
      check({
        ...POLICY,
        sealing,
        tests: [
          {
            name: 'sealed',
            given: { listener: 'mx', ip: '203.0.113.9', sender: 'x@y.example', recipient: 'b@example.org' },
            expect: { verdict: 'accept', sealed: expected, signed: 'none' },
          },
        ],
      }).findings.flatMap(({ code, message }) => (code === 'V1' || code === 'D4' ? [message] : []));
    expect(test('example.com/arc')).toEqual([]);
    expect(test('none')).toEqual([expect.stringContaining('sealed `example.com/arc`, expected `none`') as unknown]);
    expect(test('example.com/acr')).toEqual([expect.stringContaining('did you mean `example.com/arc`') as unknown]);
  });
});

it('the name that results are written under is a domain', () => {
  const settings = { 'authserv-id': 'MX.Example.com' };
  expect(snapshotOf({ ...POLICY, settings }).policy.authservId).toBe('mx.example.com');
  expect(compile({ ...POLICY, settings: { 'authserv-id': 'mx example' } }).ok).toBe(false);
});

describe('tests of the document', () => {
  const given = { listener: 'inside', ip: '10.1.2.3', sender: 'a@example.com', recipient: 'b@y.example' };
  const run = (signed: unknown, more: object = {}): readonly string[] =>
    check({
      ...POLICY,
      tests: [{ name: 'signed', given: { ...given, ...more }, expect: { verdict: 'accept', signed } }],
    }).findings.flatMap(({ code, message }) => (code === 'V1' || code === 'D4' ? [message] : []));

  it('can say who signs', () => {
    expect(run(['example.com/ed', 'example.com/s1'])).toEqual([]);
    expect(run('none', { sender: 'a@other.example' })).toHaveLength(1); // apps may not write as others
    expect(run('none')).toEqual([
      expect.stringContaining('signed `example.com/ed, example.com/s1`, expected `none`') as unknown,
    ]);
    expect(run('example.com/s2')).toEqual([expect.stringContaining('did you mean `example.com/s1`') as unknown]);
  });

  it('need no keys', () => {
    expect(compile(without('signing')).ok).toBe(true);
  });
});

it('rules can not write what the gateway has found out, and may remove it', () => {
  const rule = (effect: object): boolean =>
    compile({ ...POLICY, acl: { message: [{ name: 'mark', when: { client: 'none' }, ...effect }] } }).ok;
  expect(rule({ 'set-header': { 'Authentication-Results': 'mx.example.com; dkim=pass' } })).toBe(false);
  expect(rule({ 'add-header': { 'authentication-results': 'mx.example.com; dkim=pass' } })).toBe(false);
  expect(rule({ 'remove-header': 'Authentication-Results' })).toBe(true);
});
