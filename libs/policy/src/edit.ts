/**
 * JSON Patch (RFC 6902) on a policy's text: YAML stays YAML, with the comments of what stays, and JSON stays JSON. Does not
 * ask whether the result is a valid policy, only whether it can be read.
 *
 * What comes out is laid out as `formatPolicy` does it. `before` is the old text in the same layout: the lines in which
 * both differ are what was changed, so that who has a text in another layout can keep it.
 */
import {
  type Document,
  isCollection,
  isMap,
  isScalar,
  isSeq,
  Pair,
  parseDocument,
  type Node,
  type YAMLMap,
  type YAMLSeq,
} from 'yaml';
import { formatPolicy, isJson } from './format.js';
import { joinPointer } from './findings.js';
import { readText } from './read-yaml.js';
import { isMapping, sameValue } from './sections.js';
import type { Finding } from './types.js';

export type PatchStep =
  | { readonly op: 'add' | 'replace' | 'test'; readonly path: string; readonly value: unknown }
  | { readonly op: 'remove'; readonly path: string }
  | { readonly op: 'move' | 'copy'; readonly from: string; readonly path: string };

export interface PatchFault {
  /** Which step of the patch. */
  readonly step: number;
  readonly pointer: string;
  readonly message: string;
}

export type EditResult =
  | { readonly ok: true; readonly text: string; readonly before: string }
  | { readonly ok: false; readonly fault: PatchFault }
  /** The text cannot be read at all. */
  | { readonly ok: false; readonly findings: readonly Finding[] };

/** A new collection is written in one line when it is not longer. */
const FLOW_CHARACTERS = 80;

/** All steps or none. */
export function patchPolicy(text: string, steps: readonly PatchStep[]): EditResult {
  const read = readText(text);
  if (!read.ok) return read;
  const document = parseDocument(text, { version: '1.2', schema: 'core', uniqueKeys: false, logLevel: 'silent' });
  const tree = new Tree(document);
  for (const [step, each] of steps.entries()) {
    try {
      tree.apply(each);
    } catch (error) {
      if (!(error instanceof Mismatch)) throw error;
      return { ok: false, fault: { step, pointer: error.pointer, message: error.message } };
    }
  }
  const printed = isJson(text)
    ? `${JSON.stringify(document.toJS(), undefined, 2)}\n`
    : document.toString({ indent: 2, indentSeq: true, lineWidth: 120 });
  return { ok: true, text: laidOut(printed), before: laidOut(text) };
}

/** Whether two texts say the same, whatever their layout and comments. */
export function sameDocument(a: string, b: string): boolean {
  const [first, second] = [readText(a), readText(b)];
  return first.ok && second.ok && sameValue(first.value, second.value);
}

function laidOut(text: string): string {
  const formatted = formatPolicy(text);
  return formatted.ok ? formatted.text : text;
}

class Mismatch extends Error {
  constructor(
    readonly pointer: string,
    message: string,
  ) {
    super(message);
  }
}

/** Where a value stands. */
type Slot =
  | { readonly kind: 'root' }
  | { readonly kind: 'map'; readonly map: YAMLMap; readonly key: string }
  | { readonly kind: 'seq'; readonly seq: YAMLSeq; readonly index: number };

class Tree {
  constructor(private readonly document: Document) {}

  apply(step: PatchStep): void {
    switch (step.op) {
      case 'add':
        this.insert(step.path, this.build(step.value, 0));
        return;
      case 'replace':
        this.place(this.existing(step.path), this.assign(this.read(step.path), step.value));
        return;
      case 'remove':
        this.take(step.path);
        return;
      case 'move':
        this.move(step.from, step.path);
        return;
      case 'copy':
        this.insert(step.path, this.build(this.plain(this.read(step.from)), 0));
        return;
      case 'test':
        if (!sameValue(this.plain(this.read(step.path)), step.value))
          throw new Mismatch(step.path, `the value at \`${step.path}\` is not the one the test expects`);
    }
  }

  private move(from: string, path: string): void {
    if (path.startsWith(`${from}/`)) throw new Mismatch(path, `\`${from}\` can not be moved into itself`);
    this.existing(from);
    if (from !== path) this.insert(path, this.take(from));
  }

  private insert(path: string, node: Node | null): void {
    const slot = this.slot(path, true);
    if (slot.kind === 'seq') {
      const [first] = slot.seq.items as (Node | undefined)[];
      // What is written above the first entry is about that entry.
      if (slot.index === 0 && first !== undefined && isText(slot.seq.commentBefore) && !isText(first.commentBefore)) {
        first.commentBefore = slot.seq.commentBefore;
        slot.seq.commentBefore = null;
      }
      if (slot.seq.items.length === 0) slot.seq.flow = false;
      slot.seq.items.splice(slot.index, 0, node);
    } else this.place(slot, node);
  }

  private take(path: string): Node | null {
    const slot = this.existing(path);
    if (slot.kind === 'root') throw new Mismatch(path, 'the document itself can not be removed');
    if (slot.kind === 'seq') return (slot.seq.items.splice(slot.index, 1)[0] ?? null) as Node | null;
    const pair = pairOf(slot.map, slot.key);
    slot.map.items = slot.map.items.filter((each) => each !== pair);
    return (pair?.value ?? null) as Node | null;
  }

  private place(slot: Slot, node: Node | null): void {
    if (slot.kind === 'root') this.document.contents = node;
    else if (slot.kind === 'seq') slot.seq.items[slot.index] = node;
    else {
      const pair = pairOf(slot.map, slot.key);
      if (slot.map.items.length === 0) slot.map.flow = false;
      if (pair === undefined) slot.map.items.push(new Pair(this.document.createNode(slot.key), node));
      else pair.value = node;
    }
  }

  private existing(path: string): Slot {
    const slot = this.slot(path, false);
    const found =
      slot.kind === 'root' || (slot.kind === 'seq' ? slot.index < slot.seq.items.length : hasKey(slot.map, slot.key));
    if (!found) throw new Mismatch(path, `there is nothing at \`${path}\``);
    return slot;
  }

  private read(path: string): Node | null {
    return this.at(this.existing(path));
  }

  private at(slot: Slot): Node | null {
    if (slot.kind === 'root') return this.document.contents;
    if (slot.kind === 'seq') return (slot.seq.items[slot.index] ?? null) as Node | null;
    return (pairOf(slot.map, slot.key)?.value ?? null) as Node | null;
  }

  /** `isNew`: an index may be one behind the last, or `-`. */
  private slot(path: string, isNew: boolean): Slot {
    let slot: Slot = { kind: 'root' };
    let walked = '';
    const segments = segmentsOf(path);
    for (const [depth, segment] of segments.entries()) {
      const parent: Node | null = this.at(slot);
      const isLast = depth === segments.length - 1;
      if (isMap(parent)) slot = { kind: 'map', map: parent, key: segment };
      else if (isSeq(parent))
        slot = { kind: 'seq', seq: parent, index: indexOf(parent, segment, isNew && isLast, path) };
      else throw new Mismatch(path, `there is no list or mapping at \`${walked}\``);
      walked = joinPointer(walked, segment);
      if (!isLast && this.at(slot) === null) throw new Mismatch(path, `there is nothing at \`${walked}\``);
    }
    return slot;
  }

  private plain(node: Node | null): unknown {
    return node === null ? null : (node.toJS(this.document) as unknown);
  }

  /** The node with another value: what stays the same keeps its place, words and comments. */
  private assign(node: Node | null, value: unknown): Node | null {
    if (isMap(node) && isMapping(value)) return this.assignMap(node, value);
    if (isSeq(node) && Array.isArray(value)) return this.assignSeq(node, value);
    if (isScalar(node) && sameValue(node.value, value)) return node;
    const made = this.build(value, 0);
    if (node !== null) keepLook(node, made);
    return made;
  }

  private assignMap(map: YAMLMap, value: Readonly<Record<string, unknown>>): Node {
    map.items = map.items.filter((pair) => Object.hasOwn(value, keyOf(pair)));
    for (const [key, inner] of Object.entries(value)) {
      const pair = pairOf(map, key);
      if (pair === undefined) map.items.push(new Pair(this.document.createNode(key), this.build(inner, 1)));
      else pair.value = this.assign(pair.value as Node | null, inner);
    }
    return map;
  }

  private assignSeq(seq: YAMLSeq, value: readonly unknown[]): Node {
    const old = seq.items as (Node | null)[];
    const same = (at: number, to: number): boolean => sameValue(this.plain(old[at] ?? null), value[to]);
    const most = Math.min(old.length, value.length);
    let head = 0;
    while (head < most && same(head, head)) head += 1;
    let tail = 0;
    while (tail < most - head && same(old.length - 1 - tail, value.length - 1 - tail)) tail += 1;
    const middle = value.slice(head, value.length - tail);
    const pairwise = old.length === value.length;
    seq.items = [
      ...old.slice(0, head),
      ...middle.map((inner, index) =>
        pairwise ? this.assign(old[head + index] ?? null, inner) : this.build(inner, 1),
      ),
      ...old.slice(old.length - tail),
    ];
    return seq;
  }

  private build(value: unknown, depth: number): Node {
    const node = this.document.createNode(value, { aliasDuplicateObjects: false }) as Node;
    layOutNew(node, value, depth);
    return node;
  }
}

/** Comments, quotes and layout of the node that another takes the place of. */
function keepLook(node: Node, made: Node): void {
  if (isScalar(node) && isScalar(made) && typeof node.value === 'string' && typeof made.value === 'string') {
    if (node.type !== undefined) made.type = node.type;
  } else if (isCollection(node) && isCollection(made)) made.flow = node.flow === true;
  if (isText(node.comment)) made.comment = node.comment;
  if (isText(node.commentBefore)) made.commentBefore = node.commentBefore;
  if (node.spaceBefore === true) made.spaceBefore = true;
}

function isText(comment: string | null | undefined): comment is string {
  return typeof comment === 'string';
}

/** The entry itself in lines of its own, what is in it in one line where it is short. */
function layOutNew(node: Node, value: unknown, depth: number): void {
  if (!isCollection(node)) return;
  if (depth > 0 && JSON.stringify(value).length <= FLOW_CHARACTERS) {
    node.flow = true;
    return;
  }
  const inner = Array.isArray(value) ? (value as readonly unknown[]) : Object.values(value as object);
  for (const [index, item] of node.items.entries()) {
    const child = (item instanceof Pair ? item.value : item) as Node;
    layOutNew(child, inner[index], depth + 1);
  }
}

function keyOf(pair: Pair): string {
  return isScalar(pair.key) ? String(pair.key.value) : String(pair.key);
}

function pairOf(map: YAMLMap, key: string): Pair | undefined {
  return map.items.find((pair) => keyOf(pair) === key);
}

function hasKey(map: YAMLMap, key: string): boolean {
  return pairOf(map, key) !== undefined;
}

function segmentsOf(path: string): readonly string[] {
  if (path === '') return [];
  if (!path.startsWith('/') || /~(?![01])/u.test(path)) {
    throw new Mismatch(path, `\`${path}\` is no JSON pointer, expected one such as \`/acl/rcpt/0\``);
  }
  return path
    .slice(1)
    .split('/')
    .map((segment) => segment.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function indexOf(seq: YAMLSeq, segment: string, isNew: boolean, path: string): number {
  const { length } = seq.items;
  if (isNew && segment === '-') return length;
  const index = /^(?:0|[1-9]\d{0,8})$/u.test(segment) ? Number(segment) : -1;
  if (index < 0 || index > length || (index === length && !isNew)) {
    throw new Mismatch(path, `\`${segment}\` is no position in a list of ${String(length)}`);
  }
  return index;
}
