/**
 * Several texts that together are one policy. Nothing overrides anything: what two files say about one thing is a
 * conflict. Sections are joined by name; lists of rules, clients and tests follow each other in the order of the files.
 */
import { Document, isMap, isScalar, isSeq, parseDocument, type Pair, type YAMLMap } from 'yaml';
import { formatPolicy, isJson } from './format.js';
import { joinPointer, type Place } from './findings.js';
import { readText, type ReadResult } from './read-yaml.js';
import type { Finding } from './types.js';

export interface PolicyFile {
  readonly file: string;
  readonly text: string;
}

type ReadFile = Extract<ReadResult, { readonly ok: true }>;

interface Part extends ReadFile {
  readonly file: string;
}

/** Where something of the joined document was written. */
interface Origin {
  readonly part: Part;
  readonly pointer: string;
}

/** One value of all files, with places that name the file. A single file is read as it is. */
export function readFiles(files: readonly PolicyFile[]): ReadResult {
  const [only] = files;
  if (files.length === 1 && only !== undefined) return readText(only.text);
  const results = files.map(({ file, text }) => ({ file, result: readText(text) }));
  const faults = results.flatMap(({ file, result }) => (result.ok ? [] : result.findings.map(inFile(file))));
  if (faults.length > 0) return { ok: false, findings: faults };
  const joiner = new Joiner();
  for (const { file, result } of results) if (result.ok) joiner.add({ file, ...result });
  return joiner.result();
}

export type JoinResult =
  { readonly ok: true; readonly text: string } | { readonly ok: false; readonly findings: readonly Finding[] };

/** The joined document as text, laid out, with the comments of all. */
export function joinPolicies(files: readonly PolicyFile[]): JoinResult {
  const read = readFiles(files);
  if (!read.ok) return read;
  return formatPolicy(joinTexts(files.map(({ text }) => text)));
}

function inFile(file: string): (finding: Finding) => Finding {
  return (finding) => ({ ...finding, file });
}

class Joiner {
  private readonly value: Record<string, unknown> = {};
  private readonly origins = new Map<string, Origin>();
  private readonly conflicts: Finding[] = [];

  add(part: Part): void {
    if (!isMapping(part.value)) {
      this.refuse(part, '', 'only mappings can be joined, expected sections such as `acl` or `routes`');
      return;
    }
    for (const [key, value] of Object.entries(part.value)) this.put(this.value, '', key, { part, value });
  }

  result(): ReadResult {
    if (this.conflicts.length > 0) return { ok: false, findings: this.conflicts };
    const locate = (pointer: string, what: 'key' | 'value'): Place | undefined => {
      const origin = this.originOf(pointer);
      const place = origin?.part.locate(origin.pointer, what);
      return origin === undefined || place === undefined ? undefined : { ...place, file: origin.part.file };
    };
    return { ok: true, value: this.value, locate };
  }

  private put(target: Record<string, unknown>, base: string, key: string, given: { part: Part; value: unknown }): void {
    const pointer = joinPointer(base, key);
    const { part, value } = given;
    if (!Object.hasOwn(target, key)) {
      target[key] = structuredClone(value);
      this.origins.set(pointer, { part, pointer });
      return;
    }
    const before = target[key];
    if (base === '' && isMapping(before) && isMapping(value)) {
      for (const [child, own] of Object.entries(value)) this.put(before, pointer, child, { part, value: own });
    } else if ((base === '' || base === '/acl') && Array.isArray(before) && Array.isArray(value)) {
      for (const [index, item] of (value as readonly unknown[]).entries()) {
        const moved = joinPointer(pointer, before.length);
        this.origins.set(moved, { part, pointer: joinPointer(pointer, index) });
        before.push(structuredClone(item));
      }
    } else if (pointer !== '/policy' || before !== value) {
      const first = this.placeOf(pointer);
      const where = first === undefined ? '' : `, first in ${first.file ?? ''} line ${String(first.line)}`;
      this.refuse(part, pointer, `\`${pointer.slice(1).replaceAll('/', '.')}\` is written in two files${where}`);
    }
  }

  private refuse(part: Part, pointer: string, message: string): void {
    const place = part.locate(pointer, 'key');
    this.conflicts.push({ code: 'Y7', severity: 'blocks', pointer, message, ...place, file: part.file });
  }

  private placeOf(pointer: string): Place | undefined {
    const origin = this.originOf(pointer);
    const place = origin?.part.locate(origin.pointer, 'key');
    return origin === undefined || place === undefined ? undefined : { ...place, file: origin.part.file };
  }

  /** By the longest part of the pointer that came as one. */
  private originOf(pointer: string): Origin | undefined {
    for (let at = pointer; at !== ''; at = at.slice(0, at.lastIndexOf('/'))) {
      const origin = this.origins.get(at);
      if (origin !== undefined) return { part: origin.part, pointer: origin.pointer + pointer.slice(at.length) };
    }
    return undefined;
  }
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Of texts whose values were joined without a conflict. */
function joinTexts(texts: readonly string[]): string {
  const [first, ...others] = texts.map(parsed);
  if (first === undefined || !isMap(first.contents) || others.length === 0) return texts[0] ?? '';
  const root = first.contents;
  for (const other of others) {
    if (!isMap(other.contents)) continue;
    const before = root.items.length;
    for (const pair of other.contents.items) joinPair(root, pair);
    const heads = [other.commentBefore, other.contents.commentBefore, other.comment];
    noteBefore(root.items[before]?.key ?? root.items[0]?.key, heads);
  }
  root.flow = false;
  return first.toString();
}

/** JSON has a layout of its own, which would not fit between the others. */
function parsed(text: string): Document {
  if (isJson(text)) return new Document(JSON.parse(text));
  return parseDocument(text, { version: '1.2', schema: 'core', logLevel: 'silent' });
}

/** Comments about a whole file stand before the first section that it brought. */
function noteBefore(key: unknown, comments: readonly (string | null | undefined)[]): void {
  const texts = comments.filter((each) => typeof each === 'string');
  if (!isScalar(key) || texts.length === 0) return;
  key.commentBefore = [...texts, ...(typeof key.commentBefore === 'string' ? [key.commentBefore] : [])].join('\n');
}

function joinPair(target: YAMLMap, pair: Pair): void {
  const before = target.items.find(({ key }) => isScalar(key) && isScalar(pair.key) && key.value === pair.key.value);
  if (before === undefined) {
    target.items.push(pair);
    return;
  }
  // The key goes, what was noted before it stays.
  if (isScalar(pair.key)) noteBefore(before.key, [pair.key.commentBefore]);
  const { value: old } = before;
  const { value: more } = pair;
  if (isMap(old) && isMap(more)) {
    for (const child of more.items) joinPair(old, child);
    if (more.flow !== true) old.flow = false;
  } else if (isSeq(old) && isSeq(more)) {
    old.items.push(...more.items);
    if (more.flow !== true) old.flow = false;
  }
}
