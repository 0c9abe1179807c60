/**
 * Boxes: products of sets, one set per dimension; a dimension that is not named is not constrained. Rules are unions of
 * a few boxes, and what remains of a box without another is a few boxes again. Exact.
 */
import { complement, intersectCells, isEmptySet, isSubset, type CellSet } from './cells.js';

export type Box = ReadonlyMap<number, CellSet>;

export const EVERYTHING: Box = new Map();

/** Whether a value is in an open list: a dimension of its own, with cells 0 (no) and 1 (yes). */
export interface Atom {
  /** Dimension of the value; absent for facts of several values. */
  readonly main?: number;
  /** Cells of the value that can be in the list, and that can be outside. */
  readonly inside: CellSet;
  readonly outside: CellSet;
}

/** What is known of the dimensions that boxes are made of. */
export interface Frame {
  readonly sizes: readonly number[];
  readonly atoms: ReadonlyMap<number, Atom>;
}

/** The part of the box that is in the set; undefined when there is none. */
export function constrain(frame: Frame, box: Box, dimension: number, set: CellSet): Box | undefined {
  const before = box.get(dimension);
  const after = before === undefined ? set : intersectCells(before, set);
  const size = frame.sizes[dimension] ?? 0;
  if (isEmptySet(after, size)) return undefined;
  if (after.negated && after.ids.length === 0) return box;
  const result = new Map(box).set(dimension, after);
  const atom = frame.atoms.get(dimension);
  if (atom?.main === undefined) return result;
  const decided = yesOrNo(after);
  if (decided === undefined) return result;
  return constrain(frame, result, atom.main, decided ? atom.inside : atom.outside);
}

/** Of a dimension of two cells: which one it is, when it is one. */
function yesOrNo({ negated, ids }: CellSet): boolean | undefined {
  if (ids.length !== 1) return undefined;
  return (ids[0] === 1) !== negated;
}

export function intersect(frame: Frame, a: Box, b: Box): Box | undefined {
  const [small, big] = a.size <= b.size ? [a, b] : [b, a];
  let result: Box | undefined = big;
  for (const [dimension, set] of small) {
    result = constrain(frame, result, dimension, set);
    if (result === undefined) return undefined;
  }
  return result;
}

/** Cheaper than `intersect` where only the answer counts. */
export function areDisjoint(frame: Frame, a: Box, b: Box): boolean {
  const [small, big] = a.size <= b.size ? [a, b] : [b, a];
  for (const [dimension, set] of small) {
    const other = big.get(dimension);
    if (other !== undefined && isEmptySet(intersectCells(set, other), frame.sizes[dimension] ?? 0)) return true;
  }
  return false;
}

export function isInside(frame: Frame, inner: Box, outer: Box): boolean {
  for (const [dimension, set] of outer) {
    const own = inner.get(dimension);
    if (own === undefined || !isSubset(own, set, frame.sizes[dimension] ?? 0)) return false;
  }
  return true;
}

/** What remains of `box` without `hole`, in disjoint pieces. */
export function subtract(frame: Frame, box: Box, hole: Box): readonly Box[] {
  const pieces: Box[] = [];
  let rest: Box | undefined = box;
  for (const [dimension, set] of hole) {
    const piece = constrain(frame, rest, dimension, complement(set));
    if (piece !== undefined) pieces.push(piece);
    rest = constrain(frame, rest, dimension, set);
    if (rest === undefined) break;
  }
  return pieces;
}

/** One case of a rule: a box, and what is not in it because it follows from the rest: who the client is, which tags are there. */
export interface Case {
  readonly box: Box;
  readonly client: CellSet;
  readonly tags: readonly { readonly tag: number; readonly given: boolean }[];
}

/** More cases than this in one rule are not looked at. */
const MOST_CASES = 2_000;

export class TooManyCases extends Error {}

/** Both at once. */
export function combine(frame: Frame, a: readonly Case[], b: readonly Case[]): readonly Case[] {
  if (a.length * b.length > MOST_CASES) throw new TooManyCases('too many cases');
  const result: Case[] = [];
  for (const one of a) {
    for (const two of b) {
      const box = intersect(frame, one.box, two.box);
      const client = intersectCells(one.client, two.client);
      const tags = one.tags.length === 0 ? two.tags : [...one.tags, ...two.tags];
      if (box !== undefined && (client.negated || client.ids.length > 0)) result.push({ box, client, tags });
    }
  }
  return result;
}
