/**
 * YAML or JSON text → plain values, with the place of every key and value kept for findings.
 *
 * YAML 1.2 core schema, one document. What makes a text say something else than it seems to is refused: duplicate
 * keys, anchors, aliases, merge keys, tags, numbers that are not decimal.
 */
import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseAllDocuments,
  type Document,
  type Node,
  type Pair,
} from 'yaml';
import { Findings, joinPointer, type Locate, type Place } from './findings.js';
import type { Finding } from './types.js';

export type ReadResult =
  | { readonly ok: true; readonly value: unknown; readonly locate: Locate }
  | { readonly ok: false; readonly findings: readonly Finding[] };

const MAX_POLICY_CHARACTERS = 16 * 1024 * 1024;
const MAX_DEPTH = 32;
const MAX_SYNTAX_FINDINGS = 20;

class Reader {
  readonly places = new Map<string, Place>();
  readonly findings = new Findings((pointer, what) => this.places.get(what === 'key' ? `${pointer}#` : pointer));

  constructor(private readonly lines: LineCounter) {}

  placeAt(offset: number): Place {
    const { line, col } = this.lines.linePos(offset);
    return { line, column: col };
  }

  refuse(code: string, offset: number, message: string, fix?: string): void {
    const pointer = `@${String(offset)}`;
    this.places.set(pointer, this.placeAt(offset));
    this.findings.blocks(code, pointer, message, fix);
  }

  value(node: Node | null, pointer: string, depth: number, place: Place): unknown {
    const offset = node?.range?.[0];
    if (node === null || offset === undefined) {
      this.places.set(pointer, place);
      return null;
    }
    const inline = isScalar(node) || ((isMap(node) || isSeq(node)) && node.flow === true);
    this.places.set(pointer, inline ? this.placeAt(offset) : place);
    if (this.isForbidden(node, offset)) return null;
    if (depth > MAX_DEPTH) {
      this.refuse('Y1', offset, `nested too deeply, expected at most ${String(MAX_DEPTH)} levels`);
      return null;
    }
    if (isMap(node)) return this.map(node.items, pointer, depth);
    if (isSeq(node)) {
      return node.items.map((item, index) => {
        const start = (item as Node | null)?.range?.[0] ?? offset;
        return this.value(item as Node | null, joinPointer(pointer, index), depth + 1, this.placeAt(start));
      });
    }
    return isScalar(node) ? this.scalar(node.value, node.source, offset) : null;
  }

  private isForbidden(node: Node, offset: number): boolean {
    if (isAlias(node)) {
      this.refuse('Y3', offset, `alias \`*${node.source}\` can not be used, expected the value itself`);
      return true;
    }
    if ('anchor' in node && typeof node.anchor === 'string') {
      this.refuse('Y3', offset, `anchor \`&${node.anchor}\` can not be used, expected a list with a name instead`);
    }
    if (typeof node.tag === 'string') {
      this.refuse('Y4', offset, `tag \`${node.tag}\` can not be used, expected a plain value`);
    }
    return false;
  }

  private scalar(value: unknown, source: string | undefined, offset: number): unknown {
    if (typeof value === 'number' && source !== undefined && !/^[-+]?(?:0|[1-9]\d*)(?:\.\d+)?$/.test(source)) {
      this.refuse('Y1', offset, `\`${source}\` is not a decimal number, expected digits, or quotes around a text`);
    }
    return typeof value === 'bigint' ? Number(value) : value;
  }

  private map(items: readonly Pair[], pointer: string, depth: number): unknown {
    const result: Record<string, unknown> = {};
    for (const pair of items) {
      const key = pair.key as Node | null;
      const offset = key?.range?.[0] ?? 0;
      const name = this.key(key, offset);
      if (name === undefined) continue;
      const at = joinPointer(pointer, name);
      if (Object.hasOwn(result, name)) {
        const first = this.places.get(`${at}#`);
        this.refuse('Y2', offset, `key \`${name}\` is written twice, first in line ${String(first?.line ?? 0)}`);
        continue;
      }
      this.places.set(`${at}#`, this.placeAt(offset));
      result[name] = this.value(pair.value as Node | null, at, depth + 1, this.placeAt(offset));
    }
    return result;
  }

  private key(key: Node | null, offset: number): string | undefined {
    if (!isScalar(key) || (typeof key.value !== 'string' && typeof key.value !== 'number')) {
      this.refuse('Y1', offset, 'a key must be a plain word');
      return undefined;
    }
    this.isForbidden(key, offset);
    const name = String(key.value);
    if (name === '<<') {
      this.refuse('Y3', offset, 'merge key `<<` can not be used, expected the keys themselves');
      return undefined;
    }
    if (name === '__proto__') {
      this.refuse('D1', offset, 'unknown key `__proto__`');
      return undefined;
    }
    return name;
  }
}

function syntaxFaults(document: Document.Parsed, reader: Reader): void {
  for (const [index, error] of document.errors.slice(0, MAX_SYNTAX_FINDINGS).entries()) {
    // Once the structure is lost, every further token is unexpected: only the first says something.
    if (index > 0 && error.code === 'UNEXPECTED_TOKEN') continue;
    if (error.code === 'RESOURCE_EXHAUSTION') {
      reader.refuse('Y1', error.pos[0], `nested too deeply, expected at most ${String(MAX_DEPTH)} levels`);
      return;
    }
    const text = error.message.split('\n')[0] ?? '';
    reader.refuse('Y1', error.pos[0], `not well-formed YAML: ${text.charAt(0).toLowerCase()}${text.slice(1)}`);
  }
}

function withoutMarks(finding: Finding): Finding {
  return finding.pointer.startsWith('@') ? { ...finding, pointer: '' } : finding;
}

/** Reads one document. Never throws on text; every fault of form is reported. */
export function readText(text: string): ReadResult {
  const lines = new LineCounter();
  const reader = new Reader(lines);
  const failed = (): ReadResult => ({ ok: false, findings: reader.findings.list().map(withoutMarks) });
  if (text.length > MAX_POLICY_CHARACTERS) {
    reader.refuse(
      'Y1',
      0,
      `longer than ${String(MAX_POLICY_CHARACTERS)} characters, expected big lists to be managed lists`,
    );
    return failed();
  }
  const documents = parseAllDocuments(text, {
    version: '1.2',
    schema: 'core',
    strict: true,
    uniqueKeys: false,
    merge: false,
    prettyErrors: false,
    logLevel: 'silent',
    lineCounter: lines,
  });
  const [document] = documents;
  if (!Array.isArray(documents) || document === undefined) {
    reader.refuse('Y5', 0, 'empty text, expected a policy document');
    return failed();
  }
  for (const each of documents) syntaxFaults(each, reader);
  const second = documents[1];
  if (second !== undefined && !reader.findings.isBlocking()) {
    reader.refuse('Y5', second.range[0], 'a second document begins here, expected one document');
  }
  if (reader.findings.isBlocking()) return failed();
  const value = reader.value(document.contents, '', 0, { line: 1, column: 1 });
  if (reader.findings.isBlocking()) return failed();
  const { places } = reader;
  return {
    ok: true,
    value,
    locate: (pointer, what) => (what === 'key' ? places.get(`${pointer}#`) : undefined) ?? places.get(pointer),
  };
}
