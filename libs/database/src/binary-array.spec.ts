import { describe, expect, test } from '@jest/globals';
import {
  boolArray,
  byteaArray,
  int4Array,
  int8Array,
  jsonArray,
  textArray,
  timestamptzArray,
  uuidArray,
} from './binary-array.js';

describe('binary arrays', () => {
  test('the layout is PostgreSQL’s', () => {
    expect(int4Array([7, null]).toString('hex')).toBe(
      ['00000001', '00000001', '00000017', '00000002', '00000001', '00000004', '00000007', 'ffffffff'].join(''),
    );
    expect(textArray(['aé', '']).toString('hex')).toBe(
      ['00000001', '00000001', '00000019', '00000002', '00000001', '00000003', '61c3a9', '00000000'].join(''),
    );
    expect(jsonArray(['{}']).toString('hex')).toBe(
      ['00000001', '00000001', '00000072', '00000001', '00000001', '00000002', '7b7d'].join(''),
    );
    expect(boolArray([true]).subarray(20).toString('hex')).toBe('0000000101');
    expect(
      int8Array([2 ** 33])
        .subarray(20)
        .toString('hex'),
    ).toBe('000000080000000200000000');
    expect(
      byteaArray([Buffer.from([0, 255])])
        .subarray(20)
        .toString('hex'),
    ).toBe('0000000200ff');
    expect(timestamptzArray([946_684_801_000]).subarray(20).toString('hex')).toBe('0000000800000000000f4240');
    expect(uuidArray(['019ab4f0-0000-7000-8000-00000000000a']).subarray(20).toString('hex')).toBe(
      '00000010019ab4f0000070008000' + '00000000000a',
    );
  });

  test('an empty array has no dimension', () => {
    for (const empty of [uuidArray([]), textArray([]), int4Array([])]) expect(empty.byteLength).toBe(12);
  });

  test('an id that is none is a bug', () => {
    for (const wrong of ['', 'x', '019ab4f0-0000-7000-8000-00000000000', '019ab4f0-0000-7000-8000-00000000000g']) {
      expect(() => uuidArray([wrong])).toThrow(TypeError);
    }
  });
});
