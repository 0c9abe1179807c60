/** Lists whose entries are kept outside the document: built once, changed at the price of the change. */
import type { ManagedList } from '../types.js';
import { parseEntry, type PlainListType } from './entries.js';
import { tableBuilder, type EntryTable } from './tables.js';

/**
 * Ordinary addresses and domains as the store has them: in canonical form already, which a full parse would only say
 * again. INVARIANT (canonical at sight): whatever this matches, `parseEntry` gives back unchanged.
 */
const LABEL = '[a-z0-9](?:[a-z0-9-]{0,20}[a-z0-9])?';
const PLAIN_DOMAIN = `(?:(?!xn--)${LABEL}\\.){1,8}(?!xn--)[a-z][a-z0-9]{1,20}`;
const AT_SIGHT: Readonly<Partial<Record<PlainListType, RegExp>>> = {
  address: new RegExp(`^[A-Za-z0-9_+-]{1,30}(?:\\.[A-Za-z0-9_+-]{1,15}){0,2}@${PLAIN_DOMAIN}$`),
  domain: new RegExp(`^\\.?${PLAIN_DOMAIN}$`),
};

function canonicalEntry(type: PlainListType, name: string, value: string): string {
  if (AT_SIGHT[type]?.test(value) === true) return value;
  const entry = parseEntry(type, value);
  if (!entry.ok) throw new RangeError(`list \`${name}\`: ${entry.message}`);
  return entry.value;
}

function* canonical(type: PlainListType, name: string, values: Iterable<string>): Generator<string> {
  for (const value of values) yield canonicalEntry(type, name, value);
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

  get overlay(): number {
    return this.table.overlay;
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

/** Builds a list a few thousand entries at a time, so that whoever builds it can do other work in between. */
export class ManagedListBuilder {
  private readonly table: ReturnType<typeof tableBuilder>;

  constructor(
    private readonly type: PlainListType,
    private readonly name: string,
  ) {
    this.table = tableBuilder(type);
  }

  /** Entries as people write them; one that is no valid entry of the type throws `RangeError`. */
  add(values: Iterable<string>): void {
    for (const value of values) this.table.add(canonicalEntry(this.type, this.name, value));
  }

  /** Once, at the end. */
  build(revision: number): ManagedList {
    return new TableList(this.type, this.name, revision, this.table.build());
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
  const builder = new ManagedListBuilder(type, name);
  builder.add(values);
  return builder.build(revision);
}
