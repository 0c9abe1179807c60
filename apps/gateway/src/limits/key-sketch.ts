/**
 * Counts of more keys than there is memory for: never too low, sometimes too high (a count-min sketch with conservative
 * update). What the exact counts had to forget is remembered here, so that a flood of keys hides nobody.
 */

const ROWS = 4;
const COLUMNS = 65_536;

/** One span of time: a key's count is raised, never lowered. */
export class KeySketch {
  readonly #cells = new Float64Array(ROWS * COLUMNS);

  /** `digest`: at least 8 octets that tell keys apart. */
  count(digest: Uint8Array): number {
    let least = Number.POSITIVE_INFINITY;
    for (let row = 0; row < ROWS; row += 1) least = Math.min(least, this.#cells[cell(digest, row)] ?? 0);
    return least;
  }

  raise(digest: Uint8Array, count: number): void {
    for (let row = 0; row < ROWS; row += 1) {
      const at = cell(digest, row);
      if ((this.#cells[at] ?? 0) < count) this.#cells[at] = count;
    }
  }
}

function cell(digest: Uint8Array, row: number): number {
  return row * COLUMNS + (digest[2 * row] ?? 0) * 256 + (digest[2 * row + 1] ?? 0);
}
