import { describe, expect, it } from '@jest/globals';
import { decodeWords } from './index.js';

const LENGTH = 65_536;

describe('encoded words', () => {
  it.each([
    ['=?utf-8?q?Gr=C3=BC=C3=9Fe_an_alle?=', 'Gr\u00fc\u00dfe an alle'],
    ['=?UTF-8*de?B?R3LDvMOfZQ==?= x', 'Gr\u00fc\u00dfe x'],
    ['a =?iso-8859-1?Q?=E4?=   =?iso-8859-1?q?=F6?= b', 'a \u00e4\u00f6 b'],
    // A character cut in two.
    ['=?utf-8?q?=C3?= =?utf-8?q?=A9?=', '\u00e9'],
    ['=?utf-8?q?a?= =?us-ascii?q?b?=', 'ab'],
    ['=?utf-8?q?a?=b=?utf-8?q?c?=', 'abc'],
    ['=?iso-2022-jp?b?GyRCRnxLXBsoQg==?=', '\u65e5\u672c'],
    ['=?no-such-charset?q?a?= =?no-such-charset?q?b?=', '=?no-such-charset?q?a?= =?no-such-charset?q?b?='],
    ['=?utf-8?q?=4?= =?utf-8?q?==41?=', '=4=A'],
    ['=?utf-8?x?a?=', '=?utf-8?x?a?='],
    ['=?utf-8?q?open', '=?utf-8?q?open'],
    ['=??q?a?= =?a b?q?c?=', '=??q?a?= =?a b?q?c?='],
    [`=?utf-8?q?${'a'.repeat(4001)}?=`, `=?utf-8?q?${'a'.repeat(4001)}?=`],
    ['\u00e9 =?utf-8?q?\u00e9?=', '\u00e9 \u00e9'],
  ])('%j', (text, decoded) => {
    expect(decodeWords(text)).toBe(decoded);
  });

  it.each([
    '=?u?q?a?= ',
    '=?utf-8?q?a?=x',
    '=?utf-8?b?YQ==?= =?iso-8859-1?q?a?= ',
    '=?utf-8?q?',
    '=?',
    `=?a?q?${'x'.repeat(3999)}`,
    `=?${'x'.repeat(59)}`,
    '=?shift_jis?q?=41?=',
    '=?c#?q?a?= ',
  ])('%j over and over costs no more than other text', (pattern) => {
    let labels = 0;
    const text = pattern
      .repeat(Math.ceil(LENGTH / pattern.length))
      .slice(0, LENGTH)
      .replace(/#/g, () => String((labels += 1)));
    const costs = Array.from({ length: 20 }, () => {
      const before = process.cpuUsage();
      decodeWords(text);
      const { user, system } = process.cpuUsage(before);
      return (user + system) / 1000;
    });
    // 1 ms when it is compiled; it was up to 50.
    expect(Math.min(...costs)).toBeLessThan(16);
  });
});
