import { describe, expect, it } from '@jest/globals';
import { StructureScanner } from './index.js';

it('a header that comes octet by octet is held once', () => {
  const scanner = new StructureScanner({ structure: true });
  const before = process.memoryUsage().arrayBuffers;
  for (let at = 0; at < 250_000; at += 1) scanner.write(Uint8Array.of(at % 3 === 2 ? 10 : 58));
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(30_000_000);
  expect(scanner.report().attachments).toEqual({ fault: 'mime.limit' });
});

describe('a header over the limits is known while it comes', () => {
  const faultOf = (...pieces: string[]): unknown => {
    const scanner = new StructureScanner({ structure: true });
    for (const piece of pieces) scanner.write(Buffer.from(piece));
    const { attachments } = scanner.report();
    return 'fault' in attachments ? attachments.fault : undefined;
  };

  it.each([
    ['1000 fields', ['A: b\r\n'.repeat(1000), '\r', '\n', 'text\r\n'], undefined],
    ['1001 fields', ['A: b\r\n'.repeat(1001), '\r\n'], 'mime.limit'],
    ['1001 fields and no end', ['A: b\r\n'.repeat(1001)], 'mime.limit'],
    ['a field of 64 KiB', [`A:${' b\r\n'.repeat(1)}`, ` ${'x'.repeat(60_000)}\r\n`, '\r\n'], undefined],
    ['a field over 64 KiB', ['A:\r\n', ' x\r\n'.repeat(20_000), '\r\n'], 'mime.limit'],
  ])('%s', (_, pieces, fault) => {
    expect(faultOf(...pieces)).toBe(fault);
  });
});
