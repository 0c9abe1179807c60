import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { decodeWords, extensionsOf, previewOf, readMailboxes, rewriteHeader } from './index.js';

const read = (field: string): { addresses: readonly string[]; malformed: boolean } => {
  const { addresses, malformed } = readMailboxes(field, 100) ?? { addresses: ['too many'], malformed: true };
  return { addresses, malformed };
};

describe('addresses of a From field', () => {
  test.each([
    ['ann@a.test', ['ann@a.test']],
    ['Ann <ann@a.test>', ['ann@a.test']],
    ['"Ann, of A" <ann@a.test>, Bob <bob@b.test>', ['ann@a.test', 'bob@b.test']],
    ['"ann@bank.test" <eve@evil.test>', ['eve@evil.test']],
    ['ann@a.test (the (inner) one)', ['ann@a.test']],
    ['team: ann@a.test, bob@b.test;', ['ann@a.test', 'bob@b.test']],
    ['"odd local"@a.test', ['"odd local"@a.test']],
    ['"x@evil"@ours.test', ['"x@evil"@ours.test']],
    ['ann @ a . test', ['ann@a.test']],
    ['=?utf-8?q?A?= <ann@a.test>', ['ann@a.test']],
    ['ann@[192.0.2.1]', ['ann@[192.0.2.1]']],
    ['grüße@straße.test', ['grüße@straße.test']],
  ])('%s', (field, addresses) => {
    expect(read(field)).toEqual({ addresses, malformed: false });
  });

  test.each([
    '',
    'nobody',
    'ann@a.test <',
    'ann@a.test>',
    '<ann@a.test> <eve@evil.test>',
    'ann@a.test eve@evil.test',
    '<@relay.test:ann@a.test>',
    'ann@a@b.test',
    '"ann@a.test',
    'ann@a.test (',
    'a b@c.test',
    '<"a"b@c.test>',
    'ann@',
    '=?utf-8?q?a=40b?=@c.test <x>',
  ])('can not be read: %s', (field) => {
    expect(read(field).malformed).toBe(true);
  });

  test('too many are too many', () => {
    expect(readMailboxes('a@b.test,'.repeat(101), 100)).toBeUndefined();
  });

  test('whatever comes is answered, soon', () => {
    const piece = fc.constantFrom('"', '\\', '(', ')', '<', '>', ',', ':', ';', '@', 'a', '.', ' ', 'b.test');
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => {
        for (const address of read(pieces.join('')).addresses) expect(address).toMatch(/^.+@[^@\s]+$/);
      }),
      { numRuns: 500 },
    );
    const started = process.cpuUsage().user;
    for (const hostile of ['(', '"', '<', ' a', 'a@', '\\"', ':', '=?a?q?'])
      read(hostile.repeat(65_536 / hostile.length));
    expect((process.cpuUsage().user - started) / 1000).toBeLessThan(500);
  });
});

test('encoded words', () => {
  expect(decodeWords('=?utf-8?q?Gr=C3=BC?= =?utf-8?b?w59l?= x')).toBe('Grüße x');
  expect(decodeWords('=?utf-8?q?=C3?= =?utf-8?q?=A4?=')).toBe('ä');
  expect(decodeWords('=?iso-8859-1?q?=E4?=')).toBe('ä');
  expect(decodeWords('=?nobody-knows?q?x?=')).toBe('=?nobody-knows?q?x?=');
  expect(decodeWords('no =? word ?= here')).toBe('no =? word ?= here');
});

test('extensions as file systems see them', () => {
  const cases: [string, readonly string[]][] = [
    ['a.PDF', ['pdf']],
    ['invoice.pdf.exe', ['exe']],
    ['evil.exe. . ', ['exe']],
    ['\u202Efdp.exe', ['exe']],
    ['evil.exe\u0000.txt', ['txt', 'exe']],
    ['ｅ.ｅｘｅ', ['exe']],
    ['noextension', []],
    ['.', []],
  ];
  for (const [name, extensions] of cases)
    expect([name, extensionsOf(name)]).toEqual([name, expect.arrayContaining([...extensions])]);
  expect(extensionsOf('noextension')).toEqual([]);
});

describe('the header that goes out', () => {
  const rewritten = (text: string, changes: Parameters<typeof rewriteHeader>[1]): string => {
    const octets = Buffer.from(text);
    const { head, fromByte } = rewriteHeader(octets, changes);
    return Buffer.concat([head, octets.subarray(fromByte)]).toString();
  };

  test('set, add, remove; folded fields go whole, the body stays', () => {
    const text = 'Received: us\r\n by us\r\nX-A: 1\r\n folded\r\nSubject: x\r\nx-a : 2\r\n\r\nX-A: body\r\n';
    expect(
      rewritten(text, [
        { op: 'set', name: 'x-A', value: 'new' },
        { op: 'add', name: 'X-B', value: 'b' },
        { op: 'remove', name: 'subject' },
      ]),
    ).toBe('Received: us\r\n by us\r\nx-A: new\r\nX-B: b\r\n\r\nX-A: body\r\n');
  });

  test('no value begins another field', () => {
    expect(rewritten('A: b\r\n\r\n', [{ op: 'add', name: 'X', value: 'y\r\nZ: w' }])).toBe(
      'A: b\r\nX: y??Z: w\r\n\r\n',
    );
  });

  test('without changes nothing changes', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[a-c:\r\n ]{0,60}$/), (text) => {
        expect(rewritten(text, [])).toBe(text);
      }),
    );
  });
});

test('a preview shows text, never markup or controls', () => {
  const html =
    'From: =?utf-8?q?A?= <a@b.test>\r\nContent-Type: text/html\r\n\r\n<style>p{}</style><p>Hi<script>x()</script> &lt;you&gt;\u0007</p>';
  expect(previewOf(Buffer.from(html))).toEqual({
    fields: [{ name: 'from', value: 'A <a@b.test>' }],
    text: 'Hi <you>\ufffd',
  });
  const alternative =
    'Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n--b--\r\n';
  expect(previewOf(Buffer.from(alternative)).text).toBe('hello');
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (octets) => {
      expect(previewOf(octets).text).not.toMatch(/[\u0000-\u0008\u001b]/);
    }),
  );
});
