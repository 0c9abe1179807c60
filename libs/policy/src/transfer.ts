/**
 * A compiled policy from the thread that made it to the thread that judges, in parcels of some milliseconds each:
 * compiling a big document takes seconds, and so would taking it over at once block whoever talks to clients.
 *
 *   there:  for (const parcel of parcelsOf(check(text))) port.postMessage(parcel)       one at a time, as they are asked for
 *   here:   result = receiver.take(parcel)                                              undefined until the last
 *
 * Big containers travel before what holds them, a slice a parcel. Tables share their memory. What a structured clone
 * would lose (facts, tables, patterns, time zones) is made again.
 */
import type { CompileResult } from './compiled.js';
import { clockOf } from './values/units.js';
import { PatternSet } from './sets/patterns.js';
import { isEntryTable, tableFrom, type TableParts } from './sets/tables.js';
import { factNamed, type FactDefinition } from './vocabulary.js';

/** Items of one slice. A rule is some 40 objects. */
const SLICE = 100;

export interface Parcel {
  /** Container that the items belong to; 0 = the whole, in its only item. */
  readonly id: number;
  readonly kind: 'array' | 'map' | 'set';
  readonly items: readonly unknown[];
}

/** Stands for what can not be cloned; nothing in a policy has a key like this. */
interface Mark {
  readonly $: 'container' | 'map' | 'set' | 'fact' | 'table' | 'patterns' | 'zone';
  readonly of: unknown;
}

function mark(kind: Mark['$'], of: unknown): Mark {
  return { $: kind, of };
}

export function* parcelsOf(result: CompileResult): Generator<Parcel, void> {
  const packer = new Packer();
  const whole = yield* packer.pack(result);
  yield { id: 0, kind: 'array', items: [whole] };
}

class Packer {
  private lastId = 0;

  *pack(value: unknown): Generator<Parcel, unknown> {
    if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value;
    if (Array.isArray(value)) return yield* this.container('array', value);
    if (value instanceof Map) return yield* this.container('map', [...value]);
    if (value instanceof Set) return yield* this.container('set', [...value]);
    if (isFact(value)) return mark('fact', value.name);
    if (isEntryTable(value)) return mark('table', yield* this.pack(value.parts()));
    if (value instanceof PatternSet) return mark('patterns', value.patterns);
    if (value instanceof Intl.DateTimeFormat) return mark('zone', value.resolvedOptions().timeZone);
    const packed: Record<string, unknown> = {};
    for (const [key, inner] of Object.entries(value)) packed[key] = yield* this.pack(inner);
    return packed;
  }

  private *container(kind: Parcel['kind'], items: readonly unknown[]): Generator<Parcel, unknown> {
    if (items.length <= SLICE) {
      const packed = yield* this.each(items);
      return kind === 'array' ? packed : mark(kind, packed);
    }
    this.lastId += 1;
    const id = this.lastId;
    for (let from = 0; from < items.length; from += SLICE) {
      yield { id, kind, items: yield* this.each(items.slice(from, from + SLICE)) };
    }
    return mark('container', id);
  }

  private *each(items: readonly unknown[]): Generator<Parcel, unknown[]> {
    const packed: unknown[] = [];
    for (const item of items) packed.push(yield* this.pack(item));
    return packed;
  }
}

function isFact(value: object): value is FactDefinition {
  return 'name' in value && 'phase' in value && 'meaning' in value;
}

/** Puts parcels together again, in the order in which they were made. */
export class ParcelReceiver {
  private readonly containers = new Map<number, Container>();

  take(parcel: Parcel): CompileResult | undefined {
    if (parcel.id === 0) return this.revive(parcel.items[0]) as CompileResult;
    const container = this.containers.get(parcel.id) ?? emptyContainer(parcel.kind);
    this.containers.set(parcel.id, container);
    fill(container, this.reviveAll(parcel.items));
    return undefined;
  }

  private reviveAll(items: readonly unknown[]): unknown[] {
    return items.map((item) => this.revive(item));
  }

  private revive(value: unknown): unknown {
    if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value;
    if (Array.isArray(value)) return this.reviveAll(value);
    if ('$' in value) return this.unmark(value as Mark);
    const revived: Record<string, unknown> = {};
    for (const [key, inner] of Object.entries(value)) revived[key] = this.revive(inner);
    return revived;
  }

  private unmark({ $: kind, of }: Mark): unknown {
    switch (kind) {
      case 'container':
        return this.containers.get(of as number);
      case 'map':
      case 'set':
        return fill(emptyContainer(kind), this.reviveAll(of as readonly unknown[]));
      case 'fact':
        return factNamed(of as string);
      case 'table':
        return tableFrom(this.revive(of) as TableParts);
      case 'patterns':
        return new PatternSet(of as readonly string[]);
      case 'zone':
        return clockOf(of as string);
    }
  }
}

/** A thread that gives its parcels one by one, each when it is asked for: what this library has to know of one. */
export interface ParcelThread {
  postMessage(message: string): void;
  on(event: 'message', listener: (parcel: Parcel) => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'exit', listener: (code: number) => void): unknown;
}

/** What the thread has made; between two parcels whoever else needs this thread gets a turn. */
export function receiveParcels(thread: ParcelThread, nextTurn: () => Promise<unknown>): Promise<CompileResult> {
  const receiver = new ParcelReceiver();
  return new Promise((resolve, reject) => {
    const ask = (): void => {
      thread.postMessage('next');
    };
    thread.on('error', reject);
    thread.on('exit', (code) => {
      reject(new Error(`the thread that compiles ended with ${String(code)}`));
    });
    thread.on('message', (parcel) => {
      const result = receiver.take(parcel);
      if (result === undefined) void nextTurn().then(ask);
      else resolve(result);
    });
    ask();
  });
}

type Container = unknown[] | Map<unknown, unknown> | Set<unknown>;

function emptyContainer(kind: Parcel['kind']): Container {
  return kind === 'array' ? [] : kind === 'map' ? new Map() : new Set();
}

function fill(container: Container, items: readonly unknown[]): Container {
  if (container instanceof Map) for (const [key, value] of items as [unknown, unknown][]) container.set(key, value);
  else if (container instanceof Set) for (const item of items) container.add(item);
  else for (const item of items) container.push(item);
  return container;
}
