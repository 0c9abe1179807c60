import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { recordableJson, recordableText } from './redact.js';

test('ordinary text stays as it is', () => {
  for (const text of ['', 'ann@example.com', 'grüße', '\u{1f4e7}', 'back\\slash \\u0000 written out', 'line\r\n']) {
    expect(recordableText(text)).toBe(text);
    expect(JSON.parse(recordableJson({ text }))).toEqual({ text });
  }
});

test('NUL and lone surrogates become U+FFFD, in keys as well', () => {
  expect(recordableText('a\0b\ud800c\udc00d')).toBe('a\ufffdb\ufffdc\ufffdd');
  expect(JSON.parse(recordableJson({ 'k\0': ['\ud83d', { deep: '\0' }], n: 1, b: null }))).toEqual({
    'k\ufffd': ['\ufffd', { deep: '\ufffd' }],
    n: 1,
    b: null,
  });
});

test('whatever comes, the result holds neither', () => {
  const text = fc.array(fc.integer({ min: 0, max: 0xffff })).map((units) => String.fromCharCode(...units));
  fc.assert(
    fc.property(fc.dictionary(text, fc.oneof(text, fc.array(text))), (value) => {
      const written = recordableJson(value).replaceAll('\\\\', '');
      expect(written).not.toMatch(/\\u0000|\\ud[89a-f]/i);
      expect(Buffer.from(written).toString()).toBe(written);
    }),
  );
});
