import { describe, expect, it } from '@jest/globals';
import { naiveField, naivelyOver, naivelySigned, rsaKey } from '../../../test/support/naive-dkim.js';
import { checkDmarc, type Authors } from './dmarc.js';
import { ContentCheck } from './content-check.js';
import type { DnsReply } from './dns.js';
import type { ArcCheck, DkimCheck, DmarcCheck, SpfCheck } from './results.js';

const KEY = rsaKey();
const OTHER = rsaKey();
const NOW_MS = Date.parse('2026-11-22T10:00:00Z');

const KEYS: Readonly<Record<string, DnsReply<string>>> = {
  's._domainkey.list.example': { kind: 'found', values: [KEY.record] },
  's._domainkey.far.example': { kind: 'found', values: [OTHER.record] },
  'down._domainkey.list.example': { kind: 'failed', message: 'name server failed' },
};

async function arcOf(message: string): Promise<ArcCheck> {
  const check = new ContentCheck({ nowMs: NOW_MS });
  check.write(Buffer.from(message, 'latin1'));
  const results = await check.end({ txt: (name) => Promise.resolve(KEYS[name] ?? { kind: 'no-domain' }) });
  if (!results.ok) throw new Error(results.why);
  return results.arc;
}

const MESSAGE = 'From: ann@sender.example\r\nSubject: hello\r\n\r\nHello\r\n';

interface Sealing {
  readonly d?: string;
  readonly s?: string;
  readonly cv?: string;
  readonly h?: string;
  readonly more?: string;
  readonly instance?: number;
}

/** One more ARC set on top, as RFC 8617 s5.1 has it. */
function sealed(
  message: string,
  { d = 'list.example', s = 's', cv, h = 'from:subject', more = '', instance }: Sealing = {},
): string {
  const header = message.slice(0, message.indexOf('\r\n\r\n')).split(/\r\n(?![ \t])/);
  const before = header.filter((field) => /^arc-seal/i.test(field)).length;
  const i = instance ?? before + 1;
  const { key } = d === 'far.example' ? OTHER : KEY;
  const results = `ARC-Authentication-Results: i=${String(i)}; ${d}; dmarc=pass`;
  const tags = { i: String(i), a: 'rsa-sha256', c: 'relaxed/relaxed', d, s, h };
  const signed = naivelySigned(message, { key, name: 'ARC-Message-Signature', tags });
  const own = signed.slice(0, -message.length - 2);
  const seal = `ARC-Seal: i=${String(i)}; a=rsa-sha256; cv=${cv ?? (i === 1 ? 'none' : 'pass')}; d=${d}; s=${s};${more} b=`;
  const sets = Array.from({ length: before }, (_, index) =>
    ['arc-authentication-results', 'arc-message-signature', 'arc-seal'].map(
      (name) => header.find((field) => new RegExp(`^${name}: i=${String(index + 1)};`, 'i').test(field)) ?? '',
    ),
  );
  const covered = [...sets.flat(), results, own].map((field) => `${naiveField(field, 'relaxed')}\r\n`).join('');
  return `${seal}${naivelyOver(covered + naiveField(seal, 'relaxed'), key)}\r\n${own}\r\n${results}\r\n${message}`;
}

describe('chains, RFC 8617 s5.2', () => {
  it('none', async () => {
    expect(await arcOf(MESSAGE)).toEqual({ result: 'none', instances: 0, sealers: [] });
  });

  it('one set, two, and fifty', async () => {
    expect(await arcOf(sealed(MESSAGE))).toEqual({
      result: 'pass',
      instances: 1,
      sealers: ['list.example'],
      chainValidation: 'none',
      authenticationResults: 'list.example; dmarc=pass',
    });
    expect(await arcOf(sealed(sealed(MESSAGE), { d: 'far.example' }))).toMatchObject({
      result: 'pass',
      sealers: ['list.example', 'far.example'],
    });
    let message = MESSAGE;
    for (let count = 0; count < 50; count += 1) message = sealed(message);
    expect(await arcOf(message)).toMatchObject({ result: 'pass', instances: 50 });
    expect(await arcOf(sealed(message))).toMatchObject({ result: 'fail' });
  });

  it('a later change of the content, or of an earlier set, breaks it', async () => {
    const message = sealed(sealed(MESSAGE), { d: 'far.example' });
    expect(await arcOf(message.replace('Hello', 'Jello'))).toMatchObject({ result: 'fail' });
    expect(await arcOf(message.replace('ann@', 'bob@'))).toMatchObject({ result: 'fail' });
    expect(
      await arcOf(message.replace('i=1; list.example; dmarc=pass', 'i=1; list.example; dmarc=none')),
    ).toMatchObject({
      result: 'fail',
      why: expect.stringMatching(/ARC-Seal i=/),
    });
  });

  it('a forwarder may change the content and seal it anew: the newest sealer vouches', async () => {
    const changed = sealed(MESSAGE).replace('Hello', 'Hello, said the list');
    expect(await arcOf(sealed(changed, { d: 'far.example' }))).toMatchObject({ result: 'pass' });
  });

  it.each<[string, Sealing]>([
    ['a broken chain sealed as such', { cv: 'fail' }],
    ['a first set that says it follows another', { cv: 'pass' }],
    ['a set that is missing', { instance: 2 }],
    ['a seal with fields', { more: ' h=from;' }],
    ['From not signed', { h: 'subject' }],
    ['a signature over seals', { h: 'from:arc-seal' }],
    ['no key', { s: 'nowhere' }],
    ['an instance beyond fifty', { instance: 51 }],
  ])('%s: fail', async (_name, sealing) => {
    expect(await arcOf(sealed(MESSAGE, sealing))).toMatchObject({ result: 'fail', why: expect.any(String) });
  });

  it('a set that is there twice', async () => {
    const message = sealed(MESSAGE);
    expect(await arcOf(`${message.slice(0, -MESSAGE.length)}${message}`)).toMatchObject({ result: 'fail' });
  });

  it('a key that can not be looked up: nobody knows', async () => {
    expect(await arcOf(sealed(MESSAGE, { s: 'down' }))).toMatchObject({
      result: 'temperror',
      sealers: ['list.example'],
    });
  });
});

const RECORDS: Readonly<Record<string, DnsReply<string>>> = {
  '_dmarc.sender.example': {
    kind: 'found',
    values: ['v=DMARC1; p=reject; sp=quarantine; rua=mailto:a@sender.example'],
  },
  '_dmarc.strict.example': { kind: 'found', values: ['v=DMARC1; p=reject; adkim=s; aspf=s'] },
  '_dmarc.trying.example': { kind: 'found', values: ['v=DMARC1;p=reject;pct=0;'] },
  '_dmarc.reports.example': { kind: 'found', values: ['v=DMARC1; p=nonsense; rua=mailto:a@reports.example'] },
  '_dmarc.broken.example': { kind: 'found', values: ['v=DMARC1; p=nonsense'] },
  '_dmarc.two.example': { kind: 'found', values: ['v=DMARC1; p=none', 'v=DMARC1; p=reject'] },
  '_dmarc.noise.example': { kind: 'found', values: ['hello', 'v=DMARC1; p=quarantine', 'v=DMARC2; p=none'] },
  '_dmarc.down.example': { kind: 'failed', message: 'name server failed' },
};

const author = (...domains: readonly string[]): Authors => ({ fields: 1, domains });
const spf = (domain: string, result: SpfCheck['result'] = 'pass'): SpfCheck => ({
  result,
  domain,
  identity: 'mailfrom',
  sender: `a@${domain}`,
  clientAddress: '192.0.2.1',
  lookUps: 0,
});
const dkim = (domain: string, result: DkimCheck['result'] = 'pass'): DkimCheck => ({ result, domain, selector: 's' });

function dmarc(authors: Authors, spfCheck?: SpfCheck, signatures: readonly DkimCheck[] = []): Promise<DmarcCheck> {
  const dns = { txt: (name: string) => Promise.resolve(RECORDS[name] ?? { kind: 'no-domain' as const }) };
  return checkDmarc({ authors, spf: spfCheck, dkim: signatures }, dns);
}

describe('DMARC, RFC 7489', () => {
  it.each<[string, Authors, SpfCheck | undefined, DkimCheck[], Partial<DmarcCheck>]>([
    ['SPF vouches', author('sender.example'), spf('sender.example'), [], { result: 'pass', aligned: ['spf'] }],
    [
      'DKIM vouches',
      author('sender.example'),
      undefined,
      [dkim('sender.example')],
      { result: 'pass', aligned: ['dkim'] },
    ],
    [
      'nobody does',
      author('sender.example'),
      spf('sender.example', 'fail'),
      [dkim('sender.example', 'fail')],
      { result: 'fail', policy: 'reject', aligned: [] },
    ],
    [
      'others do',
      author('sender.example'),
      spf('mallory.example'),
      [dkim('mallory.example')],
      { result: 'fail', policy: 'reject' },
    ],
    ['a domain below vouches', author('sender.example'), spf('mail.sender.example'), [], { result: 'pass' }],
    [
      'for a domain below',
      author('news.sender.example'),
      undefined,
      [dkim('sender.example')],
      { result: 'pass', policy: 'quarantine', recordDomain: 'sender.example', organisationalDomain: 'sender.example' },
    ],
    ['a domain that ends like it', author('sender.example'), spf('notsender.example'), [], { result: 'fail' }],
    ['strictly: itself', author('strict.example'), spf('strict.example'), [], { result: 'pass' }],
    [
      'strictly: not below',
      author('strict.example'),
      spf('mail.strict.example'),
      [dkim('mail.strict.example')],
      { result: 'fail', policy: 'reject' },
    ],
    ['its owner is only trying', author('trying.example'), undefined, [], { result: 'fail', policy: 'quarantine' }],
    ['its owner only wants reports', author('reports.example'), undefined, [], { result: 'fail', policy: 'none' }],
    ['a record that can not be read', author('broken.example'), undefined, [], { result: 'permerror' }],
    ['several records', author('two.example'), undefined, [], { result: 'permerror' }],
    ['records of others beside it', author('noise.example'), undefined, [], { result: 'fail', policy: 'quarantine' }],
    [
      'no record, and yet aligned',
      author('free.example'),
      spf('free.example'),
      [],
      { result: 'none', aligned: ['spf'] },
    ],
    ['a public suffix is nobody’s', author('a.co.uk'), spf('b.co.uk'), [], { result: 'none', aligned: [] }],
    [
      'the record can not be looked up',
      author('down.example'),
      spf('down.example'),
      [],
      { result: 'temperror', aligned: ['spf'] },
    ],
    [
      'SPF is not known',
      author('sender.example'),
      spf('sender.example', 'temperror'),
      [],
      { result: 'temperror', policy: 'reject' },
    ],
    [
      'a key is not known',
      author('sender.example'),
      spf('sender.example', 'fail'),
      [dkim('sender.example', 'temperror')],
      { result: 'temperror' },
    ],
    [
      'a key of others is not known',
      author('sender.example'),
      spf('sender.example', 'fail'),
      [dkim('mallory.example', 'temperror')],
      { result: 'fail' },
    ],
    [
      'one holds, one is not known',
      author('sender.example'),
      spf('sender.example', 'temperror'),
      [dkim('sender.example')],
      { result: 'pass' },
    ],
    [
      'two authors of one domain',
      author('sender.example', 'sender.example'),
      spf('sender.example'),
      [],
      { result: 'pass' },
    ],
    [
      'authors of two domains',
      author('sender.example', 'mallory.example'),
      spf('mallory.example'),
      [],
      { result: 'permerror', aligned: [] },
    ],
    ['two From fields', { fields: 2, domains: ['sender.example'] }, spf('sender.example'), [], { result: 'permerror' }],
    ['no From', { fields: 0, domains: [] }, spf('sender.example'), [], { result: 'permerror' }],
    ['an empty From', author(), spf('sender.example'), [], { result: 'permerror' }],
    [
      'From that can not be read',
      { fields: 1, domains: undefined },
      spf('sender.example'),
      [],
      { result: 'permerror' },
    ],
    ['From at an address literal', author('[192.0.2.1]'), undefined, [], { result: 'permerror' }],
  ])('%s', async (...[, authors, spfCheck, signatures, expected]) => {
    expect(await dmarc(authors, spfCheck, signatures)).toMatchObject(expected);
  });
});
