import { describe, expect, it } from '@jest/globals';
import { authservIdOf, claimsToBeFrom, formatAuthenticationResults } from './authentication-results.js';
import { foldField } from './fold.js';
import { rawField } from './header-fields.js';
import type { MailAuthResults } from './results.js';

const ID = 'mx.example.com';

const ALL: MailAuthResults = {
  spf: {
    result: 'pass',
    identity: 'mailfrom',
    domain: 'x.example',
    sender: 'a@x.example',
    clientAddress: '192.0.2.1',
    lookUps: 1,
  },
  dkim: [
    { result: 'pass', domain: 'x.example', selector: 's1', algorithm: 'rsa-sha256', signature: 'aB/c+dEfGhIj' },
    { result: 'fail', domain: 'y.example', selector: 's2', why: 'the body was changed; "or so"' },
  ],
  dmarc: {
    result: 'fail',
    domain: 'z.example',
    organisationalDomain: 'z.example',
    policy: 'reject',
    aligned: [],
  },
  arc: { result: 'pass', instances: 2, sealers: ['l.example', 'm.example'] },
};

describe('Authentication-Results', () => {
  it('tells every result that there is', () => {
    expect(formatAuthenticationResults(ID, ALL)).toBe(
      'mx.example.com; spf=pass smtp.mailfrom=a@x.example; ' +
        'dkim=pass header.d=x.example header.s=s1 header.a=rsa-sha256 header.b="aB/c+dEf"; ' +
        'dkim=fail reason="the body was changed; \\"or so\\"" header.d=y.example header.s=s2; ' +
        'dmarc=fail (p=reject) header.from=z.example; arc=pass (i=2)',
    );
  });

  it('tells what there is not', () => {
    expect(formatAuthenticationResults(ID, {})).toBe('mx.example.com; none');
    expect(formatAuthenticationResults(ID, { dkim: [] })).toBe('mx.example.com; dkim=none');
  });

  it('lets nothing of a stranger end its value', () => {
    const spf = { ...ALL.spf, sender: '"x; dkim=pass\r\nX: y"@x.example\u00fc', identity: 'mailfrom', result: 'fail' };
    const line = formatAuthenticationResults(ID, { spf } as MailAuthResults);
    expect(line).toBe('mx.example.com; spf=fail smtp.mailfrom="\\"x; dkim=pass??X: y\\"@x.example?"');
  });

  it('is folded between words, never in quoted strings', () => {
    const field = foldField('Authentication-Results', formatAuthenticationResults(ID, ALL));
    expect(field.endsWith('\r\n')).toBe(true);
    expect(Math.max(...field.split('\r\n').map((line) => line.length))).toBeLessThanOrEqual(78);
    expect(field.replace(/\r\n\t/g, ' ').trimEnd()).toBe(
      `Authentication-Results: ${formatAuthenticationResults(ID, ALL)}`,
    );
    expect(field).toContain('reason="the body was changed; \\"or so\\""');
  });
});

describe('who a field claims to be from', () => {
  it.each([
    'Authentication-Results: mx.example.com; spf=pass',
    'authentication-results :MX.Example.COM;spf=pass',
    'Authentication-Results:\r\n mx.example.com 1;\r\n spf=pass',
    'Authentication-Results: (a (nested) \\) comment; here) mx.example.com; none',
    'Authentication-Results: "mx.example.com"; none',
    'Authentication-Results: "mx.exa\\mple.com"; none',
    'Authentication-Results: mx.example.com.; none',
    'Authentication-Results: mx.example.com(comment); none',
    'Authentication-Results: mx.example.com',
  ])('us: %j', (raw) => {
    expect(claimsToBeFrom(rawField(raw), ID)).toBe(true);
  });

  it.each([
    'Authentication-Results: mx.example.com.evil.example; spf=pass',
    'Authentication-Results: other.example; x=mx.example.com',
    'Authentication-Results: (mx.example.com) other.example; none',
    'Authentication-Results:',
    'ARC-Authentication-Results: i=1; mx.example.com; none',
    'X-Other: mx.example.com; spf=pass',
  ])('somebody else: %j', (raw) => {
    expect(claimsToBeFrom(rawField(raw), ID)).toBe(false);
  });

  it('reads long fields of nothing but comments in linear time', () => {
    const started = performance.now();
    authservIdOf(rawField(`Authentication-Results: ${'('.repeat(500_000)}${'\\"'.repeat(200_000)}`));
    authservIdOf(rawField(`Authentication-Results: "${'\\a'.repeat(400_000)}`));
    authservIdOf(rawField(`Authentication-Results: ${' '.repeat(800_000)}`));
    expect(performance.now() - started).toBeLessThan(2_000);
  });
});
