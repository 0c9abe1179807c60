/** Text for terminals. Much of it was written by strangers who sent mail: no control character gets through. */

const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/gu;

export function safe(text: string): string {
  return text.replace(UNSAFE, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** What a cell shows for any value of an answer. */
export function cell(value: unknown): string {
  if (value === undefined || value === null || value === '') return '-';
  if (typeof value === 'string') return safe(value);
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (Array.isArray(value)) return value.map(cell).join(', ');
  return safe(JSON.stringify(value));
}

function widthOf(text: string): number {
  return Array.from(text).length;
}

/** Columns aligned by their widest cell; the last one is never padded. */
export function table(headings: readonly string[], rows: readonly (readonly unknown[])[]): readonly string[] {
  const lines = [headings.map((heading) => heading.toUpperCase()), ...rows.map((row) => row.map(cell))];
  const widths = headings.map((_, column) => Math.max(...lines.map((line) => widthOf(line[column] ?? ''))));
  return lines.map((line) =>
    line
      .map((text, column) =>
        column === line.length - 1 ? text : text + ' '.repeat((widths[column] ?? 0) - widthOf(text)),
      )
      .join('  ')
      .trimEnd(),
  );
}

/** `name: value` lines, aligned; absent values are left out. */
export function fields(entries: readonly (readonly [string, unknown])[]): readonly string[] {
  const present = entries.filter(([, value]) => value !== undefined && value !== null && value !== '');
  const width = Math.max(0, ...present.map(([name]) => name.length));
  return present.map(([name, value]) => `${`${name}:`.padEnd(width + 1)} ${cell(value)}`);
}

/** RFC 3339 to the second, in UTC. */
export function shortTime(value: unknown): string {
  return typeof value === 'string' ? value.replace(/\.\d+Z$/u, 'Z') : '-';
}
