import { diffArrays } from 'diff';
import { sameDocument } from '#policy';

/** Beyond it texts are compared no longer. */
const TIMEOUT_MS = 1_000;

/** Lines `from` to `to` (exclusive) of the old text become `lines`. */
interface LineChange {
  readonly from: number;
  readonly to: number;
  readonly lines: readonly string[];
}

/**
 * An edited text in the layout of its author: the lines that the edit changed in the canonical layout are changed in
 * theirs. Where that does not lead to the same document, the canonical layout it is.
 */
export function inOwnLayout(own: string, edited: { readonly before: string; readonly text: string }): string {
  if (own === edited.before) return edited.text;
  const old = edited.before.split('\n');
  const changes = lineChanges(old, edited.text.split('\n'));
  const places = placesIn(old, own.split('\n'));
  if (changes === undefined || places === undefined) return edited.text;
  for (const side of ['behind', 'before'] as const) {
    const text = changed(own.split('\n'), { changes, places, side });
    if (sameDocument(text, edited.text)) return text;
  }
  return edited.text;
}

function lineChanges(old: readonly string[], now: readonly string[]): readonly LineChange[] | undefined {
  const parts = diffArrays([...old], [...now], { timeout: TIMEOUT_MS });
  if (parts === undefined) return undefined;
  const changes: LineChange[] = [];
  let at = 0;
  let open: LineChange | undefined;
  for (const { added, removed, value } of parts) {
    if (!added && !removed) {
      if (open !== undefined) changes.push(open);
      open = undefined;
      at += value.length;
      continue;
    }
    open ??= { from: at, to: at, lines: [] };
    if (removed) at += value.length;
    open = removed ? { ...open, to: at } : { ...open, lines: [...open.lines, ...value] };
  }
  return open === undefined ? changes : [...changes, open];
}

/** Where each line of the canonical text stands in the author's, -1 for those that are written otherwise there. */
function placesIn(old: readonly string[], own: readonly string[]): readonly number[] | undefined {
  const comparator = (a: string, b: string): boolean => a.trim() === b.trim();
  const parts = diffArrays([...old], [...own], { timeout: TIMEOUT_MS, comparator });
  if (parts === undefined) return undefined;
  const places: number[] = [];
  let at = 0;
  for (const { added, removed, count } of parts) {
    for (let line = 0; line < count; line += 1) {
      if (!added) places.push(removed ? -1 : at + line);
    }
    if (!removed) at += count;
  }
  return places;
}

/** From the end to the beginning, so that line numbers stay true. */
function changed(
  own: string[],
  how: { changes: readonly LineChange[]; places: readonly number[]; side: 'behind' | 'before' },
): string {
  const { changes, places, side } = how;
  for (const { from, to, lines } of changes.toReversed()) {
    const known = places.slice(from, to).filter((place) => place >= 0);
    const [first] = known;
    const last = known.at(-1);
    const before = places.slice(0, from).findLast((place) => place >= 0) ?? -1;
    const after = places.slice(to).find((place) => place >= 0) ?? own.length;
    if (first !== undefined && last !== undefined) own.splice(first, last - first + 1, ...lines);
    else if (to > from) own.splice(before + 1, after - before - 1, ...lines);
    else own.splice(side === 'behind' ? before + 1 : after, 0, ...lines);
  }
  return own.join('\n');
}
