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
import { Findings, type Locate, type Place } from './findings.js';
import type { Finding } from './types.js';

export type ReadResult =
  | { readonly ok: true; readonly value: unknown; readonly locate: Locate }
  | { readonly ok: false; readonly findings: readonly Finding[] };

const MAX_POLICY_CHARACTERS = 16 * 1024 * 1024;
const MAX_DEPTH = 32;
const MAX_SYNTAX_FINDINGS = 20;

interface KeyAndValue {
  readonly key: Node;
  readonly value: Node | null;
}

interface Step {
  readonly value: Node | null;
  readonly offset: number;
}

class Reader {
  private readonly marks = new Map<string, Place>();
  readonly findings = new Findings((pointer) => this.marks.get(pointer));
  /** Of maps in which something was looked for. */
  private readonly indexes = new WeakMap<readonly Pair[], ReadonlyMap<string, KeyAndValue>>();

  constructor(private readonly lines: LineCounter) {}

  private placeAt(offset: number): Place {
    const { line, col } = this.lines.linePos(offset);
    return { line, column: col };
  }

  refuse(code: string, offset: number, message: string, fix?: string): void {
    const pointer = `@${String(offset)}`;
    this.marks.set(pointer, this.placeAt(offset));
    this.findings.blocks(code, pointer, message, fix);
  }

  /** Where a key, or a value, was written. Looked for when it is asked: of most nobody ever wants to know. */
  locate(root: Node | null, pointer: string, what: 'key' | 'value'): Place | undefined {
    if (pointer === '') return this.placeOf(root, 0);
    let node: Node | null = root;
    let from: number | undefined;
    for (const segment of pointer.slice(1).split('/')) {
      const step = this.stepInto(node, segment.replaceAll('~1', '/').replaceAll('~0', '~'));
      if (step === undefined) return undefined;
      node = step.value;
      from = step.offset;
    }
    return what === 'key' && from !== undefined ? this.placeAt(from) : this.placeOf(node, from ?? 0);
  }

  /** What stands under a key or an index, and where that begins. */
  private stepInto(node: Node | null, segment: string): Step | undefined {
    if (isMap(node)) {
      const pair = this.pairOf(node.items, segment);
      return pair === undefined ? undefined : { value: pair.value, offset: pair.key.range?.[0] ?? 0 };
    }
    if (!isSeq(node) || !/^\d+$/.test(segment) || Number(segment) >= node.items.length) return undefined;
    const item = node.items[Number(segment)] as Node | null;
    return { value: item, offset: item?.range?.[0] ?? node.range?.[0] ?? 0 };
  }

  /** The first pair with that key. */
  private pairOf(items: readonly Pair[], name: string): KeyAndValue | undefined {
    const known = this.indexes.get(items);
    if (known !== undefined) return known.get(name);
    const index = new Map<string, KeyAndValue>();
    for (const { key, value } of items) {
      if (!isScalar(key) || index.has(String(key.value))) continue;
      index.set(String(key.value), { key, value: value as Node | null });
    }
    this.indexes.set(items, index);
    return index.get(name);
  }

  /** A block begins in the line below its key: then the key is the place. */
  private placeOf(node: Node | null, keyOffset: number): Place {
    const offset = node?.range?.[0];
    const isInline = isScalar(node) || ((isMap(node) || isSeq(node)) && node.flow === true);
    return this.placeAt(isInline && offset !== undefined ? offset : keyOffset);
  }

  value(node: Node | null, depth: number): unknown {
    const offset = node?.range?.[0];
    if (node === null || offset === undefined) return null;
    if (this.isForbidden(node, offset)) return null;
    if (depth > MAX_DEPTH) {
      this.refuse('Y1', offset, `nested too deeply, expected at most ${String(MAX_DEPTH)} levels`);
      return null;
    }
    if (isMap(node)) return this.map(node.items, depth);
    if (isSeq(node)) return node.items.map((item) => this.value(item as Node | null, depth + 1));
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

  private map(items: readonly Pair[], depth: number): unknown {
    const result: Record<string, unknown> = {};
    for (const pair of items) {
      const key = pair.key as Node | null;
      const offset = key?.range?.[0] ?? 0;
      const name = this.key(key, offset);
      if (name === undefined) continue;
      if (Object.hasOwn(result, name)) {
        const first = this.placeAt(this.pairOf(items, name)?.key.range?.[0] ?? 0);
        this.refuse('Y2', offset, `key \`${name}\` is written twice, first in line ${String(first.line)}`);
        continue;
      }
      result[name] = this.value(pair.value as Node | null, depth + 1);
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
  const root = document.contents;
  const value = reader.value(root, 0);
  if (reader.findings.isBlocking()) return failed();
  return { ok: true, value, locate: (pointer, what) => reader.locate(root, pointer, what) };
}
