import { describe, expect, it } from '@jest/globals';
import { crc32c } from './crc32c.js';
import { readProxyHeader } from './proxy-header.js';

const SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');
const V4 = Buffer.from('c0000207 c6336401 d431 0019'.replaceAll(' ', ''), 'hex');
const V6 = Buffer.concat([
  Buffer.from('20010db8000000000000000000000007', 'hex'),
  Buffer.from('20010db8000000000000000000000001', 'hex'),
  Buffer.from('d4310019', 'hex'),
]);

function v2(command: number, family: number, rest: Buffer): Buffer {
  const fixed = Buffer.alloc(4);
  fixed.writeUInt8(0x20 | command, 0);
  fixed.writeUInt8(family, 1);
  fixed.writeUInt16BE(rest.length, 2);
  return Buffer.concat([SIGNATURE, fixed, rest]);
}

function tlv(type: number, value: Buffer): Buffer {
  const head = Buffer.alloc(3);
  head.writeUInt8(type, 0);
  head.writeUInt16BE(value.length, 1);
  return Buffer.concat([head, value]);
}

/** With the checksum TLV at the end, right unless told otherwise. */
function checksummed(spoil = 0): Buffer {
  const header = v2(1, 0x11, Buffer.concat([V4, tlv(4, Buffer.from('noop')), tlv(3, Buffer.alloc(4))]));
  header.writeUInt32BE((crc32c(header) ^ spoil) >>> 0, header.length - 4);
  return header;
}

describe('version 1', () => {
  it.each([
    ['PROXY TCP4 192.0.2.7 198.51.100.1 54321 25\r\n', { address: '192.0.2.7', port: 54321 }],
    ['PROXY TCP6 2001:DB8:0::7 2001:db8::1 54321 25\r\n', { address: '2001:db8::7', port: 54321 }],
    ['PROXY TCP6 ::ffff:192.0.2.7 ::1 0 65535\r\n', { address: '192.0.2.7', port: 0 }],
    ['PROXY UNKNOWN\r\n', undefined],
    ['PROXY UNKNOWN ffff:f:f:f:f:f:f:ffff ffff:f:f:f:f:f:f:ffff 65535 65535\r\n', undefined],
  ])('%j', (line, client) => {
    const header = readProxyHeader(Buffer.from(`${line}EHLO x\r\n`));
    expect(header).toEqual({ kind: 'done', headerBytes: line.length, ...(client === undefined ? {} : { client }) });
    for (let cut = 0; cut < line.length; cut += 1) {
      expect(readProxyHeader(Buffer.from(line.slice(0, cut)))).toEqual({ kind: 'more' });
    }
  });

  it.each([
    'EHLO client.test\r\n',
    'GET / HTTP/1.1\r\n',
    'PROXY TCP4 192.0.2.7 198.51.100.1 54321 25\n',
    'PROXY TCP4 192.0.2.7 198.51.100.1 54321\r\n',
    'PROXY TCP4 192.0.2.7 198.51.100.1 54321 25 26\r\n',
    'PROXY TCP4  192.0.2.7 198.51.100.1 54321 25\r\n',
    'PROXY TCP4 192.0.2.777 198.51.100.1 54321 25\r\n',
    'PROXY TCP4 192.0.2.07 198.51.100.1 54321 25\r\n',
    'PROXY TCP4 2001:db8::7 2001:db8::1 54321 25\r\n',
    'PROXY TCP6 192.0.2.7 198.51.100.1 54321 25\r\n',
    'PROXY TCP6 fe80::1%eth0 2001:db8::1 54321 25\r\n',
    'PROXY TCP4 192.0.2.7 198.51.100.1 65536 25\r\n',
    'PROXY TCP4 192.0.2.7 198.51.100.1 054321 25\r\n',
    'PROXY TCP4 192.0.2.7 198.51.100.1 -1 25\r\n',
    'PROXY UDP4 192.0.2.7 198.51.100.1 54321 25\r\n',
    'proxy TCP4 192.0.2.7 198.51.100.1 54321 25\r\n',
    'PROXY UNKNOWN\rX\r\n',
    `PROXY UNKNOWN ${'x'.repeat(200)}\r\n`,
    `PROXY ${'x'.repeat(107)}`,
  ])('%j is a fault', (line) => {
    expect(readProxyHeader(Buffer.from(line)).kind).toBe('fault');
  });
});

describe('version 2', () => {
  it.each([
    ['TCP over IPv4', v2(1, 0x11, V4), { address: '192.0.2.7', port: 54321 }],
    ['TCP over IPv6', v2(1, 0x21, V6), { address: '2001:db8::7', port: 54321 }],
    [
      'TLVs of any type',
      v2(1, 0x11, Buffer.concat([V4, tlv(0xea, Buffer.from('vpce')), tlv(4, Buffer.alloc(9))])),
      { address: '192.0.2.7', port: 54321 },
    ],
    ['a right checksum', checksummed(), { address: '192.0.2.7', port: 54321 }],
    ['LOCAL', v2(0, 0x00, Buffer.alloc(0)), undefined],
    ['LOCAL with addresses', v2(0, 0x11, V4), undefined],
    ['LOCAL without the addresses it announces', v2(0, 0x21, Buffer.alloc(0)), undefined],
    ['an unspecified family', v2(1, 0x00, Buffer.alloc(0)), undefined],
    ['a unix socket', v2(1, 0x31, Buffer.alloc(216)), undefined],
  ])('%s', (_, header, client) => {
    const read = readProxyHeader(Buffer.concat([header, Buffer.from('EHLO x\r\n')]));
    expect(read).toEqual({ kind: 'done', headerBytes: header.length, ...(client === undefined ? {} : { client }) });
    for (let cut = 0; cut < header.length; cut += 1) {
      expect(readProxyHeader(header.subarray(0, cut))).toEqual({ kind: 'more' });
    }
  });

  it.each([
    ['another version', Buffer.concat([SIGNATURE, Buffer.from('11110000', 'hex')])],
    ['another command', v2(2, 0x11, V4)],
    ['another family', v2(1, 0x41, V4)],
    ['another protocol', v2(1, 0x13, V4)],
    ['UDP', v2(1, 0x12, V4)],
    ['half the addresses', v2(1, 0x21, V4)],
    ['no addresses', v2(1, 0x11, Buffer.alloc(0))],
    ['a TLV that is longer than the header', v2(1, 0x11, Buffer.concat([V4, Buffer.from('04000a00', 'hex')]))],
    ['half a TLV', v2(1, 0x11, Buffer.concat([V4, Buffer.from('0400', 'hex')]))],
    ['a wrong checksum', checksummed(1)],
    ['a checksum of another length', v2(1, 0x11, Buffer.concat([V4, tlv(3, Buffer.alloc(2))]))],
    ['more than 536 octets', v2(1, 0x11, Buffer.concat([V4, tlv(4, Buffer.alloc(520))]))],
  ])('%s is a fault', (_, header) => {
    expect(readProxyHeader(header).kind).toBe('fault');
  });
});

it('CRC-32C as RFC 3720 appendix B.4 has it', () => {
  expect(crc32c(Buffer.alloc(32)).toString(16)).toBe('8a9136aa');
  expect(crc32c(Buffer.alloc(32, 0xff)).toString(16)).toBe('62a8ab43');
});
