/** Collects what is said about a document, with the place in the text where it was written. */
import type { Facts, Finding, Severity } from './types.js';

export interface Place {
  readonly line: number;
  readonly column: number;
  /** Where several files are one document. */
  readonly file?: string;
}

/** Where the value (or the key, for `key`) at a pointer was written; undefined when there is no such place. */
export type Locate = (pointer: string, what: 'key' | 'value') => Place | undefined;

export function joinPointer(base: string, ...segments: readonly (string | number)[]): string {
  return segments.reduce<string>(
    (pointer, segment) => `${pointer}/${String(segment).replaceAll('~', '~0').replaceAll('/', '~1')}`,
    base,
  );
}

function parentPointer(pointer: string): string {
  return pointer.slice(0, Math.max(0, pointer.lastIndexOf('/')));
}

export class Findings {
  private readonly all: Finding[] = [];
  private readonly seen = new Set<string>();
  private original: (pointer: string) => string = (pointer) => pointer;

  constructor(private readonly locate: Locate = () => undefined) {}

  isBlocking(): boolean {
    return this.all.some((finding) => finding.severity === 'blocks');
  }

  /** A fault that prevents the document from being published. */
  blocks(code: string, pointer: string, message: string, fix?: string): void {
    this.add({ code, severity: 'blocks', pointer, message, ...(fix === undefined ? {} : { fix }) });
  }

  /** `blocks`, with the transaction that shows it. */
  refutes(code: string, pointer: string, message: string, example: Facts): void {
    this.add({ code, severity: 'blocks', pointer, message, example });
  }

  warns(code: string, pointer: string, message: string, fix?: string): void {
    this.add({ code, severity: 'warns', pointer, message, ...(fix === undefined ? {} : { fix }) });
  }

  informs(code: string, pointer: string, message: string): void {
    this.add({ code, severity: 'info', pointer, message });
  }

  /** From now on, pointers are into a remainder of the document. */
  translate(original: (pointer: string) => string): void {
    this.original = original;
  }

  add(raw: Omit<Finding, 'line' | 'column'>, what: 'key' | 'value' = 'value'): void {
    const finding = { ...raw, pointer: this.original(raw.pointer) };
    const identity = `${finding.code} ${finding.pointer} ${finding.message}`;
    if (this.seen.has(identity)) return;
    this.seen.add(identity);
    const place = this.placeOf(finding.pointer, what);
    this.all.push(place === undefined ? finding : { ...finding, ...place });
  }

  /** By severity, then in the order of the text. */
  list(): readonly Finding[] {
    const rank: Record<Severity, number> = { blocks: 0, warns: 1, info: 2 };
    return [...this.all].sort(
      (a, b) =>
        rank[a.severity] - rank[b.severity] ||
        (a.file ?? '').localeCompare(b.file ?? '') ||
        (a.line ?? 0) - (b.line ?? 0) ||
        (a.column ?? 0) - (b.column ?? 0),
    );
  }

  /** A missing key has no place of its own: its parent's is used. */
  private placeOf(pointer: string, what: 'key' | 'value'): Place | undefined {
    let place = this.locate(pointer, what);
    for (let at = pointer; place === undefined && at !== '';) {
      at = parentPointer(at);
      place = this.locate(at, 'value');
    }
    return place;
  }
}
