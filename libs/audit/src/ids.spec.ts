import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parsePublicId, publicId, traceOf } from './ids.js';

const uuids = fc.uuid();

describe('public ids', () => {
  test('known pairs', () => {
    expect(traceOf('00000000-0000-0000-0000-000000000000')).toBe('00000000000000000000000000');
    expect(traceOf('ffffffff-ffff-ffff-ffff-ffffffffffff')).toBe('7ZZZZZZZZZZZZZZZZZZZZZZZZZ');
    expect(publicId('txn', '01932c07-209d-7cf1-a1f4-aa4e4c4a2b5e')).toBe('txn_01JCP0E84XFKRT3X5A9S64MATY');
  });

  test('reading what was written gives the same id, in any case', () => {
    fc.assert(
      fc.property(uuids, (uuid) => {
        const text = publicId('txn', uuid);
        expect(text).toMatch(/^txn_[0-9A-HJKMNP-TV-Z]{26}$/);
        expect(parsePublicId('txn', text)).toBe(uuid);
        expect(parsePublicId('txn', text.slice(4).toLowerCase())).toBe(uuid);
      }),
    );
  });

  test('order is kept', () => {
    fc.assert(fc.property(uuids, uuids, (a, b) => expect(traceOf(a) < traceOf(b)).toBe(a < b)));
  });

  test('what is no id of this kind is undefined, never another id', () => {
    const text = publicId('txn', '01932c07-209d-7cf1-a1f4-aa4e4c4a2b5e');
    for (const wrong of [
      '',
      'txn_',
      text.slice(0, -1),
      `${text}0`,
      text.replace('txn', 'rcp'),
      text.replace('J', 'U'),
      `txn_8${text.slice(5)}`,
      `txn_!${text.slice(5)}`,
    ]) {
      expect(parsePublicId('txn', wrong)).toBeUndefined();
    }
    expect(parsePublicId('txn', text.replace('0', 'O').replace('1', 'l'))).toBe('01932c07-209d-7cf1-a1f4-aa4e4c4a2b5e');
    expect(() => traceOf('no')).toThrow(TypeError);
  });
});
