/** Entries of a list as lines: NDJSON and CSV, in and out. */
import type { ListEntry } from '#database';

export const NDJSON = 'application/x-ndjson';
export const CSV = 'text/csv';
export type RowFormat = typeof NDJSON | typeof CSV;

/** As written in a file; nothing of it has been checked. */
export interface EntryRow {
  readonly value?: unknown;
  readonly note?: unknown;
  readonly owner?: unknown;
  readonly expires?: unknown;
}

const COLUMNS = ['value', 'note', 'owner', 'expires'] as const;
type Column = (typeof COLUMNS)[number];

/** A spreadsheet takes a cell that begins so for a formula. */
const FORMULA = /^[=+\-@\t\r']/u;

/** What cannot be read, for the line it stands in. */
export class RowFault extends Error {}

export function formatRows(format: RowFormat, entries: readonly ListEntry[]): string {
  return entries.map((entry) => (format === CSV ? csvLine(entry) : `${JSON.stringify(shownEntry(entry))}\n`)).join('');
}

export const CSV_HEADER = `${COLUMNS.join(',')}\r\n`;

function shownEntry({ value, note, owner, expiresAt }: ListEntry): Record<Column, string | undefined> {
  return { value, note, owner, expires: expiresAt?.toISOString() };
}

function csvLine(entry: ListEntry): string {
  const shown = shownEntry(entry);
  return `${COLUMNS.map((column) => csvCell(shown[column] ?? '')).join(',')}\r\n`;
}

/** A quote in front keeps a formula a text; reading takes it away again. */
function csvCell(text: string): string {
  const harmless = FORMULA.test(text) ? `'${text}` : text;
  return `"${harmless.replaceAll('"', '""')}"`;
}

/** One line of NDJSON. */
export function readJsonRow(line: string): EntryRow {
  let row: unknown;
  try {
    row = JSON.parse(line);
  } catch {
    throw new RowFault('is not JSON');
  }
  if (typeof row === 'string') return { value: row };
  if (typeof row !== 'object' || row === null || Array.isArray(row)) {
    throw new RowFault('must be an object such as `{"value": "a@b.example"}`');
  }
  const unknown = Object.keys(row).find((key) => !(COLUMNS as readonly string[]).includes(key));
  if (unknown !== undefined) throw new RowFault(`has an unknown field \`${unknown.slice(0, 100)}\``);
  return row;
}

/** CSV with a header line that names the columns. */
export class CsvReader {
  #columns: readonly Column[] | undefined;

  /** Undefined for the header. */
  read(record: string): EntryRow | undefined {
    const cells = cellsOf(record);
    if (this.#columns === undefined) {
      this.#columns = cells.map((cell) => columnOf(cell.trim().toLowerCase()));
      if (!this.#columns.includes('value')) throw new RowFault('must name the columns, `value` among them');
      return undefined;
    }
    if (cells.length !== this.#columns.length) {
      throw new RowFault(`has ${cells.length} cells, expected ${this.#columns.length}`);
    }
    const named = this.#columns.map((column, index) => [column, plain(cells[index] ?? '')] as const);
    return Object.fromEntries(named.filter(([, cell]) => cell !== ''));
  }
}

function columnOf(name: string): Column {
  const column = COLUMNS.find((each) => each === name);
  if (column !== undefined) return column;
  throw new RowFault(`names a column \`${name.slice(0, 100)}\`, expected some of ${COLUMNS.join(', ')}`);
}

function plain(cell: string): string {
  return cell.startsWith("'") && FORMULA.test(cell.slice(1)) ? cell.slice(1) : cell;
}

/** RFC 4180. A record is one line here: no entry, note or owner has a line break in it. */
function cellsOf(record: string): readonly string[] {
  const cells: string[] = [];
  const cell = /(?:"((?:[^"]|"")*)"|([^",]*))(,|$)/uy;
  for (;;) {
    const match = cell.exec(record);
    if (match === null) throw new RowFault('has a quote where none can be');
    cells.push(match[1]?.replaceAll('""', '"') ?? match[2] ?? '');
    if (match[3] === '') return cells;
  }
}
