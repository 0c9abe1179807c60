/**
 * A policy's text in its canonical layout: two blanks per level, quotes only where the author had them, one blank line
 * between sections, comments kept. Order and words stay the author's.
 *
 * What comes out is read back before it is given out: it says the same and has every comment, or nothing comes out.
 */
import { isCollection, isMap, isNode, isScalar, Lexer, parseDocument, visit, type Document, type Node } from 'yaml';
import { readText } from './read-yaml.js';
import type { Finding } from './types.js';

export type FormatResult =
  { readonly ok: true; readonly text: string } | { readonly ok: false; readonly findings: readonly Finding[] };

const LINE_WIDTH = 120;
/** Comments may move once when a line around them is broken; after that they stay. */
const MOST_ROUNDS = 4;

/** YAML stays YAML, JSON stays JSON. Does not ask whether the document is a valid policy, only whether it can be read. */
export function formatPolicy(text: string): FormatResult {
  const read = readText(text);
  if (!read.ok) return read;
  const formatted = isJson(text) ? `${JSON.stringify(read.value, undefined, 2)}\n` : layOut(text);
  const again = readText(formatted);
  const same = again.ok && JSON.stringify(again.value) === JSON.stringify(read.value);
  if (same && comments(formatted) === comments(text)) return { ok: true, text: formatted };
  return { ok: false, findings: [CANNOT] };
}

const CANNOT: Finding = {
  code: 'Y6',
  severity: 'blocks',
  pointer: '',
  message: 'can not be laid out without loss, expected comments on lines of their own',
};

export function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function layOut(text: string): string {
  let current = text;
  for (let round = 0; round < MOST_ROUNDS; round += 1) {
    const next = printOnce(current);
    if (next === current) break;
    current = next;
  }
  return current;
}

function printOnce(text: string): string {
  const document = parseDocument(text, { version: '1.2', schema: 'core', uniqueKeys: false, logLevel: 'silent' });
  separateSections(document);
  visit(document, {
    // A blank line between a key and its value separates nothing.
    Pair: (_key, { value }) => {
      if (isNode(value)) delete value.spaceBefore;
    },
    Scalar: (_key, scalar) => {
      if (typeof scalar.value !== 'string' || scalar.type?.startsWith('QUOTE_') !== true) return;
      scalar.type = /['\p{Cc}]/u.test(scalar.value) ? 'QUOTE_DOUBLE' : 'QUOTE_SINGLE';
    },
    Map: (_key, map) => {
      const first = map.items[0]?.key;
      if (isNode(first)) delete first.spaceBefore;
      pad(map, ' ');
    },
    Seq: (_key, seq) => {
      const [first] = seq.items;
      if (isNode(first)) delete first.spaceBefore;
      pad(seq, '');
    },
  });
  return document.toString({ indent: 2, indentSeq: true, lineWidth: LINE_WIDTH, trailingComma: true });
}

/** `{ a: b }`, but `[a, b]`: the printer knows one padding for both. */
function pad(node: Node, padding: string): void {
  const print = node.toString.bind(node) as (context?: object, ...rest: readonly unknown[]) => string;
  node.toString = (context?: object, ...rest: readonly unknown[]) =>
    print(context === undefined ? undefined : { ...context, flowCollectionPadding: padding }, ...rest);
}

function separateSections({ contents }: Document.Parsed): void {
  if (!isMap(contents) || contents.flow === true) return;
  for (const { key, value } of contents.items.slice(1)) {
    const section = isCollection(value) && value.flow !== true && value.items.length > 0;
    if (section && isScalar(key)) key.spaceBefore = true;
  }
}

/** All comments of a text, in an order that does not depend on where they stand. */
function comments(text: string): string {
  const found: string[] = [];
  let isScalarNext = false;
  for (const lexeme of new Lexer().lex(text)) {
    if (lexeme.startsWith('#') && !isScalarNext) found.push(lexeme.trimEnd());
    isScalarNext = lexeme === '\u001f';
  }
  return found.sort().join('\n');
}
