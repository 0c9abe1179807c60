import { describe, expect, test } from '@jest/globals';
import { findingLines } from './findings.js';
import { cell, fields, safe, shortTime, table } from './text.js';

describe('text for terminals', () => {
  test.each([
    ['\u001b[31mred\u001b[0m', '\\u001b[31mred\\u001b[0m'],
    ['a\r\nb\tc\0', 'a\\u000d\\u000ab\\u0009c\\u0000'],
    ['\u009b2J', '\\u009b2J'],
    ['\u202egnp.exe', '\\u202egnp.exe'],
    ['zero\u200bwidth', 'zero\\u200bwidth'],
    ['grüße ☕ 漢字', 'grüße ☕ 漢字'],
  ])('%j becomes %j', (text, expected) => {
    expect(safe(text)).toBe(expected);
  });

  test('cells of any kind', () => {
    expect([undefined, null, '', 0, false, ['a', 'b'], { a: 1 }].map(cell)).toEqual([
      '-',
      '-',
      '-',
      '0',
      'false',
      'a, b',
      '{"a":1}',
    ]);
  });

  test('columns as wide as their widest cell, without blanks at the end', () => {
    expect(
      table(
        ['a', 'b', 'c'],
        [
          ['xxxx', 1, undefined],
          ['x', 22, ''],
        ],
      ),
    ).toEqual(['A     B   C', 'xxxx  1   -', 'x     22  -']);
  });

  test('fields leave out what is absent', () => {
    expect(
      fields([
        ['a', 1],
        ['long name', 'x'],
        ['none', undefined],
      ]),
    ).toEqual(['a:         1', 'long name: x']);
  });

  test('times to the second', () => {
    expect(shortTime('2026-01-02T03:04:05.678901Z')).toBe('2026-01-02T03:04:05Z');
    expect(shortTime(undefined)).toBe('-');
  });
});

describe('findings', () => {
  const source = { file: 'p.yaml', text: 'policy: main\n\tlist: x\n\nend' };

  test('with place, line and mark', () => {
    const finding = {
      code: 'D1',
      severity: 'blocks',
      line: 2,
      column: 2,
      message: 'unknown key `list`',
      fix: 'write `lists`',
    };
    expect(findingLines(finding, source)).toEqual([
      'p.yaml:2:2: error D1: unknown key `list`',
      '  2 |  list: x',
      '    |  ^',
      '  fix: write `lists`',
    ]);
  });

  test('without a place it names the pointer; a line that is empty or not there is not shown', () => {
    expect(findingLines({ code: 'T1', severity: 'warns', pointer: '/routes/x', message: 'm' }, source)).toEqual([
      'p.yaml: warning T1: m (at /routes/x)',
    ]);
    expect(findingLines({ line: 3, column: 1, message: 'm' }, source)).toEqual(['p.yaml:3:1: error: m']);
    expect(findingLines({ line: 99, message: 'm' }, source)).toEqual(['p.yaml:99: error: m']);
  });

  test('a message cannot steer the terminal either', () => {
    expect(findingLines({ message: 'a\u001b[2Jb' }, source)[0]).toBe('p.yaml: error: a\\u001b[2Jb');
  });
});

test('a password that stands in a policy by mistake does not stand in the output', () => {
  const text = 'out: { hosts: [{ host: a }], auth: hunter2, tls: "x" }\nin: { auth: { password: "hunter 3" } }\n';
  const about = (line: number): string =>
    findingLines({ message: 'no', line, column: 35, pointer: '/routes/out/auth' }, { file: 'p.yaml', text }).join('\n');
  expect(about(1)).toContain('auth: *******, tls: "x" }');
  expect(about(2)).toContain('password: "********" } }');
});
