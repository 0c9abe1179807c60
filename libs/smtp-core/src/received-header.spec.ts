import { describe, expect, it } from '@jest/globals';
import { mailDate, protocolName, receivedHeader } from './index.js';
import type { ReceivedFacts } from './index.js';

const FACTS: ReceivedFacts = {
  helo: 'client.test',
  address: '192.0.2.7',
  hostname: 'mx.test',
  protocol: 'ESMTP',
  id: '01JD5N2YFZ',
  atMs: Date.UTC(2026, 10, 22, 16, 26, 7),
};

describe('the Received field', () => {
  it('names client, server, protocol, id and time', () => {
    expect(receivedHeader(FACTS)).toBe(
      'Received: from client.test ([192.0.2.7])\r\n' +
        '\tby mx.test with ESMTP id 01JD5N2YFZ;\r\n' +
        '\tSun, 22 Nov 2026 16:26:07 +0000\r\n',
    );
  });

  it('names the recipient when told to, and the verified name of the client', () => {
    const recipient = { localPart: 'a b', domain: 'mx.test' };
    const header = receivedHeader({ ...FACTS, recipient, verifiedName: 'host.client.test' });
    expect(header).toContain('from client.test (host.client.test [192.0.2.7])');
    expect(header).toContain('\r\n\tfor <"a b"@mx.test>;\r\n');
  });

  it.each([
    ['2001:DB8::7', '[IPv6:2001:db8::7]'],
    ['fe80::1%eth0', '[IPv6:fe80::1]'],
    ['::ffff:192.0.2.7', '[192.0.2.7]'],
    ['rubbish', '[0.0.0.0]'],
  ])('shows %s as %s', (address, literal) => {
    expect(receivedHeader({ ...FACTS, address })).toContain(`(${literal})`);
  });

  it.each(['a b', 'x)\r\nBcc: y', 'a;b', '(c)', '', 'ü', undefined, 'x'.repeat(300)])(
    'never prints the name %j',
    (helo) => {
      expect(receivedHeader({ ...FACTS, helo })).toContain('from unknown (');
    },
  );

  it.each([
    [{ protocol: 'SMTP', tls: {}, auth: {} }, 'SMTP'],
    [{ protocol: 'ESMTP' }, 'ESMTP'],
    [{ protocol: 'ESMTP', tls: {} }, 'ESMTPS'],
    [{ protocol: 'ESMTP', auth: {} }, 'ESMTPA'],
    [{ protocol: 'ESMTP', tls: {}, auth: {} }, 'ESMTPSA'],
    [{ protocol: 'ESMTP', smtpUtf8: true }, 'UTF8SMTP'],
    [{ protocol: 'ESMTP', tls: {}, smtpUtf8: true }, 'UTF8SMTPS'],
    [{ protocol: 'ESMTP', auth: {}, smtpUtf8: true }, 'UTF8SMTPA'],
    [{ protocol: 'ESMTP', tls: {}, auth: {}, smtpUtf8: true }, 'UTF8SMTPSA'],
  ] as const)('%j goes by the name of %s', (facts, name) => {
    expect(protocolName(facts)).toBe(name);
  });

  it('tells of TLS in a comment that nothing can end', () => {
    const tls = { version: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384' } as const;
    const header = receivedHeader({ ...FACTS, protocol: 'ESMTPS', tls });
    expect(header).toContain('by mx.test with ESMTPS (TLSv1.3 TLS_AES_256_GCM_SHA384) id 01JD5N2YFZ;\r\n');
    expect(receivedHeader({ ...FACTS, tls: { ...tls, cipher: 'x) (y' } })).toContain('(TLSv1.3 unknown)');
  });

  it('names a recipient in UTF-8 only where the message was announced as such', () => {
    const recipient = { localPart: 'jürgen', domain: 'mx.test' };
    expect(receivedHeader({ ...FACTS, recipient })).not.toContain('for <');
    expect(receivedHeader({ ...FACTS, recipient, protocol: 'UTF8SMTP' })).toContain('for <jürgen@mx.test>');
  });

  it('prints mail dates in UTC', () => {
    expect(mailDate(0)).toBe('Thu, 1 Jan 1970 00:00:00 +0000');
  });
});
