/**
 * Values of a fact, cut into cells: first every value that the document writes (and one it does not) as a point with
 * the sets it is in, then the points that are in the same sets as one cell.
 */
import type { FactValue } from '../types.js';
import { cells, type CellSet } from './cells.js';

/** A value; `undefined` = the fact is absent. */
export interface RawPoint {
  readonly value: FactValue | undefined;
  /** Nobody wrote it: it stands for many. */
  readonly fresh: boolean;
}

export interface Dimension {
  readonly name: string;
  readonly size: number;
  /** One value of each cell. */
  readonly values: readonly (FactValue | undefined)[];
}

/** Text of a value that is one. */
export function textOf(value: FactValue | undefined): string {
  return typeof value === 'string' ? value : '';
}

/** Number of a set of points, until the cells are known. */
export type SetHandle = number;

export class RawDimension {
  readonly points: RawPoint[] = [];
  private readonly sets: (readonly number[])[] = [];
  private readonly handles = new Map<string, SetHandle>();
  private merged: { readonly cellOf: readonly number[]; readonly dimension: Dimension } | undefined;
  private readonly done = new Map<SetHandle, CellSet>();

  constructor(
    readonly name: string,
    /** Point whose cell is number 0. */
    private readonly preferred: () => number = () => 0,
  ) {}

  add(value: FactValue | undefined, fresh: boolean): number {
    return this.points.push({ value, fresh }) - 1;
  }

  /** Registers a set of points; the same key gives the same set, made once. */
  register(key: string, make: () => Iterable<number>): SetHandle {
    const known = this.handles.get(key);
    if (known !== undefined) return known;
    const handle = this.sets.push([...new Set(make())]) - 1;
    this.handles.set(key, handle);
    return handle;
  }

  /** After this, no set can be registered any more. */
  get dimension(): Dimension {
    return this.merge().dimension;
  }

  cellsOf(handle: SetHandle): CellSet {
    const known = this.done.get(handle);
    if (known !== undefined) return known;
    const { cellOf } = this.merge();
    const made = cells((this.sets[handle] ?? []).map((point) => cellOf[point] ?? 0));
    this.done.set(handle, made);
    return made;
  }

  private merge(): NonNullable<typeof this.merged> {
    if (this.merged !== undefined) return this.merged;
    const memberships: number[][] = this.points.map(() => []);
    for (const [handle, points] of this.sets.entries()) for (const point of points) memberships[point]?.push(handle);
    const bySignature = new Map<string, number>();
    const values: (FactValue | undefined)[] = [];
    const cellOf: number[] = new Array<number>(this.points.length).fill(0);
    const first = this.points.length === 0 ? 0 : this.preferred();
    for (const point of [first, ...this.points.keys()]) {
      const signature = memberships[point]?.join(',') ?? '';
      const known = bySignature.get(signature);
      const cell = known ?? bySignature.size;
      if (known === undefined) {
        bySignature.set(signature, cell);
        values.push(this.points[point]?.value);
      }
      cellOf[point] = cell;
    }
    this.merged = { cellOf, dimension: { name: this.name, size: values.length, values } };
    return this.merged;
  }
}
