/** Lists whose entries are kept outside the document: built once, changed at the price of the change. */
import type { ManagedList } from '../types.js';
import { parseEntry, type PlainListType } from './entries.js';
import { tableOf, type EntryTable } from './tables.js';

function* canonical(type: PlainListType, name: string, values: Iterable<string>): Generator<string> {
  for (const value of values) {
    const entry = parseEntry(type, value);
    if (!entry.ok) throw new RangeError(`list \`${name}\`: ${entry.message}`);
    yield entry.value;
  }
}

class TableList implements ManagedList {
  constructor(
    readonly type: PlainListType,
    readonly name: string,
    readonly revision: number,
    private readonly table: EntryTable,
  ) {}

  get size(): number {
    return this.table.size;
  }

  has(value: string, foldLocal = false): boolean {
    return this.table.match(value, foldLocal) !== undefined;
  }

  match(value: string, foldLocal = false): string | undefined {
    return this.table.match(value, foldLocal);
  }

  hasEntry(entry: string): boolean {
    return this.table.hasEntry(entry);
  }

  withChanges(adds: Iterable<string>, removes: Iterable<string>, revision: number): ManagedList {
    const { type, name } = this;
    const table = this.table.with(canonical(type, name, adds), canonical(type, name, removes));
    return new TableList(type, name, revision, table);
  }

  entries(): Iterable<string> {
    return this.table.entries();
  }
}

/**
 * A list at one revision. Values are entries as people write them; one that is no valid entry of the type throws
 * `RangeError`: the store must not hold such.
 */
export function buildManagedList(
  type: PlainListType,
  name: string,
  revision: number,
  values: Iterable<string>,
): ManagedList {
  return new TableList(type, name, revision, tableOf(type, canonical(type, name, values)));
}
