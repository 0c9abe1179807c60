/** Laying a policy out changes how it looks and nothing else. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Document, isCollection, isScalar, visit, type Node } from 'yaml';
import { formatPolicy, readPolicy } from '#policy';
import { arbitraryDocument } from '../support/policy-arbitraries.js';

const PROJECT = join(import.meta.dirname, '../..');
const EXAMPLES = readdirSync(join(PROJECT, 'examples/policies'), { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => `examples/policies/${name}/policy.yaml`);

function formatted(text: string): string {
  const result = formatPolicy(text);
  if (!result.ok) throw new Error(`${JSON.stringify(result.findings)}\n${text}`);
  return result.text;
}

function documentOf(text: string): unknown {
  const read = readPolicy(text);
  return read.ok ? read.document : read.findings.map(({ code, message }) => `${code} ${message}`);
}

function commentsOf(text: string): readonly string[] {
  return [...text.matchAll(/# remark \d+/gu)].map(([comment]) => comment).sort();
}

interface Style {
  readonly choices: readonly number[];
  readonly indent: number;
  readonly indentSeq: boolean;
  readonly lineWidth: number;
}

/** The document as some author might have written it: block or flow, quotes, blank lines and remarks anywhere. */
function written(value: unknown, { choices, ...options }: Style): string {
  const document = new Document(value, { aliasDuplicateObjects: false });
  let at = 0;
  const choose = (many: number): number => (choices[at++ % choices.length] ?? 0) % many;
  const remark = (key: unknown, node: Node): void => {
    const startsLine = key === 'key' || typeof key === 'number';
    if (startsLine && choose(6) === 0) node.spaceBefore = true;
    if (startsLine && choose(4) === 0) node.commentBefore = ` remark ${at}`;
    if (key === 'value' && isScalar(node) && choose(4) === 0) node.comment = ` remark ${at}`;
  };
  visit(document, {
    Node: (key, node, path) => {
      if (path.length < 2) return;
      if (isCollection(node)) node.flow = choose(3) === 0 || node.items.length === 0;
      if (isScalar(node) && typeof node.value === 'string') {
        node.type = (['PLAIN', 'QUOTE_SINGLE', 'QUOTE_DOUBLE'] as const)[choose(3)] ?? 'PLAIN';
      }
      const inFlow = path.some((above) => isCollection(above) && above.flow === true);
      if (!inFlow) remark(key, node);
    },
  });
  document.commentBefore = ' remark 0';
  return document.toString(options);
}

const styles: fc.Arbitrary<Style> = fc.record({
  choices: fc.array(fc.nat(100), { minLength: 20, maxLength: 60 }),
  indent: fc.constantFrom(2, 3, 4, 8),
  indentSeq: fc.boolean(),
  lineWidth: fc.constantFrom(0, 40, 80, 200),
});

describe('laying out', () => {
  test('keeps what the document says and every remark; twice is once', () => {
    let remarks = 0;
    fc.assert(
      fc.property(arbitraryDocument(), styles, (value, style) => {
        const text = written(value, style);
        const once = formatted(text);
        expect(documentOf(once)).toEqual(documentOf(text));
        expect(commentsOf(once)).toEqual(commentsOf(text));
        expect(formatted(once)).toBe(once);
        remarks += commentsOf(text).length;
      }),
      { numRuns: 200 },
    );
    expect(remarks).toBeGreaterThan(400);
  });

  test('JSON stays JSON', () => {
    fc.assert(
      fc.property(arbitraryDocument(), fc.nat(4), (value, indent) => {
        expect(formatted(JSON.stringify(value, undefined, indent))).toBe(`${JSON.stringify(value, undefined, 2)}\n`);
      }),
      { numRuns: 50 },
    );
  });

  test('two authors, one layout, where they differ only in indentation and quotes', () => {
    const one = 'policy: "main"\nlisteners:\n    mx:   {port: 25,exposure: internet}\ndomains:\n- match: \'a\'\n';
    const two =
      'policy: \'main\'\n\n\nlisteners:\n mx: { port: 25,\n   exposure: internet }\ndomains:\n   -  match: "a"';
    expect(formatted(one)).toBe(formatted(two));
    expect(formatted(one)).toBe(
      "policy: 'main'\n\nlisteners:\n  mx: { port: 25, exposure: internet }\n\ndomains:\n  - match: 'a'\n",
    );
  });

  test.each([
    ['policy: main # why\n', 'policy: main # why\n'],
    ['lists: { a: [x,   y] }\r\n', 'lists: { a: [x, y] }\n'],
    ['a: \'\\.exe$\'\nb: "it\'s"\nc: "22:00"\n', "a: '\\.exe$'\nb: \"it's\"\nc: '22:00'\n"],
    ['# first\n\n\n\n# second\npolicy: main', '# first\n\n# second\npolicy: main\n'],
    ['description: |\n   two\n   lines\n', 'description: |\n  two\n  lines\n'],
  ])('%j', (text, expected) => {
    expect(formatted(text)).toBe(expected);
  });

  test.each(['', 'a: [', 'a: &x 1\nb: *x\n', 'a: 1\na: 2\n', 'a: 1\n---\nb: 2\n'])('%j is refused', (text) => {
    const result = formatPolicy(text);
    expect(result.ok).toBe(false);
  });

  test('any text is laid out or refused, never thrown at, and never says something else', () => {
    const marks = [
      '{',
      '}',
      '[',
      ']',
      ': ',
      ',',
      '\n- ',
      '|',
      '>',
      '\n',
      '  ',
      '"',
      "'",
      '# c',
      'a',
      '1',
      '\r',
      '\t',
      '?',
    ];
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...marks) }), (text) => {
        const result = formatPolicy(text);
        if (result.ok) expect(documentOf(result.text)).toEqual(documentOf(text));
      }),
      { numRuns: 1000 },
    );
  });

  test.each(EXAMPLES)('%s', (file) => {
    const text = readFileSync(join(PROJECT, file), 'utf8');
    const once = formatted(text);
    expect(documentOf(once)).toEqual(documentOf(text));
    expect(formatted(once)).toBe(once);
  });
});
