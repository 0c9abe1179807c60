/**
 * Managed lists from the store to memory, in slices of some milliseconds: a list of millions is loaded, changed and
 * made anew while mail goes on.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ListChange, ListStore } from '#database';
import { ManagedListBuilder, type ManagedList } from '#policy';

/** Entries between two turns of the event loop: a millisecond, measured 2026-11. */
const SLICE = 500;
/** Changes in front of a list before it is made anew. */
const MOST_OVERLAY = 4_096;

type Store = Pick<ListStore, 'read' | 'changesSince'>;

export async function loadList(store: Store, name: string, type: ManagedList['type']): Promise<ManagedList> {
  const builder = new ManagedListBuilder(type, name);
  const { revision } = await store.read(name, (values) => addSliced(builder, values));
  return builder.build(revision);
}

async function addSliced(builder: ManagedListBuilder, values: readonly string[]): Promise<void> {
  for (let from = 0; from < values.length; from += SLICE) {
    builder.add(values.slice(from, from + SLICE));
    await nextTurn();
  }
}

/** The list at its newest revision: by its changes, or from the store again when there are too many. */
export async function updateList(store: Store, list: ManagedList): Promise<ManagedList> {
  const since = await store.changesSince(list.name, list.revision);
  if (since.kind === 'reload') return loadList(store, list.name, list.type);
  let changed = list;
  // Revision by revision: a value may be added and removed again in between. One revision only adds, or only removes.
  for (const slice of slices(since.changes)) {
    const values = slice.map(({ value }) => value);
    const { operation, revision } = slice[0] ?? { operation: 'add', revision: changed.revision };
    changed = changed.withChanges(operation === 'add' ? values : [], operation === 'remove' ? values : [], revision);
    if (slice.length >= SLICE) await nextTurn();
  }
  return changed;
}

function* slices(changes: readonly ListChange[]): Generator<readonly ListChange[]> {
  for (let from = 0; from < changes.length;) {
    let to = from + 1;
    while (to < changes.length && to - from < SLICE && changes[to]?.revision === changes[from]?.revision) to += 1;
    yield changes.slice(from, to);
    from = to;
  }
}

/** Whether its changes take so much room that it is worth the work to make it anew. */
export function isWorn(list: ManagedList): boolean {
  return list.overlay > Math.max(MOST_OVERLAY, list.size / 16);
}

/** The same members at the same revision, without layers of changes. */
export async function rebuildList(list: ManagedList): Promise<ManagedList> {
  const builder = new ManagedListBuilder(list.type, list.name);
  let slice: string[] = [];
  for (const value of list.entries()) {
    slice.push(value);
    if (slice.length < SLICE) continue;
    builder.add(slice);
    slice = [];
    await nextTurn();
  }
  builder.add(slice);
  return builder.build(list.revision);
}
