/**
 * Sets of cells of one dimension, exact and sparse: the cells that are in it, or those that are not.
 *
 * A dimension is one fact (or the facts of one address); its cells are the values that no set of the document tells
 * apart, numbered from 0. Cell 0 is the value that nobody wrote anything about.
 */
export interface CellSet {
  /** `ids` are the cells outside. */
  readonly negated: boolean;
  /** Ascending. */
  readonly ids: readonly number[];
}

export const EVERY_CELL: CellSet = { negated: true, ids: [] };
export const NO_CELL: CellSet = { negated: false, ids: [] };

export function cells(ids: Iterable<number>): CellSet {
  return { negated: false, ids: [...new Set(ids)].sort((a, b) => a - b) };
}

export function complement(set: CellSet): CellSet {
  return { negated: !set.negated, ids: set.ids };
}

export function hasCell({ negated, ids }: CellSet, cell: number): boolean {
  return isAmong(ids, cell) !== negated;
}

function isAmong(ids: readonly number[], cell: number): boolean {
  let low = 0;
  let high = ids.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const id = ids[middle] ?? 0;
    if (id === cell) return true;
    if (id < cell) low = middle + 1;
    else high = middle - 1;
  }
  return false;
}

export function intersectCells(a: CellSet, b: CellSet): CellSet {
  if (a.negated && b.negated) return { negated: true, ids: mergedIds(a.ids, b.ids) };
  const [positive, other] = a.negated || (!b.negated && b.ids.length < a.ids.length) ? [b, a] : [a, b];
  return { negated: false, ids: positive.ids.filter((id) => hasCell(other, id)) };
}

export function uniteCells(a: CellSet, b: CellSet): CellSet {
  if (!a.negated && !b.negated) return { negated: false, ids: mergedIds(a.ids, b.ids) };
  return complement(intersectCells(complement(a), complement(b)));
}

function mergedIds(a: readonly number[], b: readonly number[]): readonly number[] {
  if (a.length === 0) return b;
  if (b.length === 0) return a;
  const merged: number[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    const left = a[i] ?? Infinity;
    const right = b[j] ?? Infinity;
    merged.push(Math.min(left, right));
    if (left <= right) i += 1;
    if (right <= left) j += 1;
  }
  return merged;
}

/** `size`: how many cells the dimension has. */
export function isEmptySet({ negated, ids }: CellSet, size: number): boolean {
  return negated ? ids.length >= size : ids.length === 0;
}

export function isSubset(inner: CellSet, outer: CellSet, size: number): boolean {
  return isEmptySet(intersectCells(inner, complement(outer)), size);
}

/** The first cell of a set that is not empty. */
export function firstCell({ negated, ids }: CellSet): number {
  if (!negated) return ids[0] ?? 0;
  for (let cell = 0; ; cell += 1) if (ids[cell] !== cell) return cell;
}
