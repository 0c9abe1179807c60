/** Measurements → a Markdown table, and its place in the document. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { arch, cpus, release, totalmem } from 'node:os';
import { format, resolveConfig } from 'prettier';
import type { Measurement } from './measure.js';
import type { BenchOptions } from './options.js';

/** All runs of one variant on one peer. */
export interface Row {
  readonly variant: string;
  readonly peer: string;
  readonly runs: readonly Measurement[];
}

const BEGIN = '<!-- bench: begin, written by `npm run bench -- --write` -->';
const END = '<!-- bench: end -->';
const sectionMarks = (section: string): Marks => [`<!-- bench ${section}: begin -->`, `<!-- bench ${section}: end -->`];

type Marks = readonly [begin: string, end: string];

const VARIANTS: Readonly<Record<string, (sessions: number) => string>> = {
  kept: (sessions) => `${String(sessions)} sessions kept`,
  single: (sessions) => `${String(sessions)} at a time, one connection a message`,
  'one-session': () => '1 session kept',
};

export interface Conditions {
  readonly versions: readonly string[];
  readonly command: string;
  readonly options: BenchOptions;
}

export function renderReport(rows: readonly Row[], conditions: Conditions): string {
  const { options } = conditions;
  const lines = rows.map((row) => renderRow(row, options.sessions));
  return [
    BEGIN,
    '',
    `${new Date().toISOString().slice(0, 10)}, \`${conditions.command}\`: ${conditions.versions.join('; ')}.`,
    `${machine()}; load and sinks on the same processors. Median of ${String(options.runs)} interleaved runs, ` +
      `lowest and highest in brackets; bodies of ${String(options.size)} octets.`,
    '',
    '| Load | Peer | msg/s, end to end | accept p50 ms | accept p99 ms | CPU s per 1000 messages |',
    '|---|---|---:|---:|---:|---|',
    ...lines,
    '',
    ...ratios(rows, options.sessions),
    '',
    END,
  ].join('\n');
}

export async function writeIntoDocument(file: string, report: string): Promise<void> {
  await writeBetween(file, [BEGIN, END], report);
}

/** Puts a report where the document has the marks of its section, or at the end. */
export async function writeSection(file: string, section: string, report: string): Promise<void> {
  const marks = sectionMarks(section);
  await writeBetween(file, marks, `${marks[0]}\n\n${report}\n\n${marks[1]}`);
}

async function writeBetween(file: string, [begin, end]: Marks, report: string): Promise<void> {
  const text = existsSync(file) ? readFileSync(file, 'utf8') : '# Performance\n';
  const from = text.indexOf(begin);
  const to = text.indexOf(end);
  const written =
    from < 0 || to < from
      ? `${text.trimEnd()}\n\n${report}\n`
      : text.slice(0, from) + report + text.slice(to + end.length);
  const style = await resolveConfig(file);
  writeFileSync(file, await format(written, { ...style, filepath: file }));
}

function renderRow(row: Row, sessions: number): string {
  const rates = row.runs.map((run) => run.messagesPerSecond);
  const spread = `${whole(Math.min(...rates))}–${whole(Math.max(...rates))}`;
  const parts = Object.keys(row.runs[0]?.cpuPer1000 ?? {});
  const cpu = parts.map((part) => [part, median(row.runs.map((run) => run.cpuPer1000[part] ?? 0))] as const);
  const total = cpu.reduce((sum, [, seconds]) => sum + seconds, 0);
  const detail = cpu.length > 1 ? ` (${cpu.map(([part, used]) => `${part} ${used.toFixed(3)}`).join(', ')})` : '';
  const cells = [
    labelOf(row.variant, sessions),
    row.peer,
    `${whole(median(rates))} (${spread})`,
    milliseconds(row.runs.map((run) => run.acceptP50Ms)),
    milliseconds(row.runs.map((run) => run.acceptP99Ms)),
    `${total.toFixed(3)}${detail}`,
  ];
  return `| ${cells.join(' | ')} |`;
}

/** Ours over theirs, where both were measured. */
function ratios(rows: readonly Row[], sessions: number): string[] {
  return rows.flatMap((ours) => {
    const theirs = rows.find((row) => row.variant === ours.variant && row.peer === 'Postfix');
    if (ours.peer !== 'Postern' || theirs === undefined) return [];
    const rate = (row: Row): number => median(row.runs.map((run) => run.messagesPerSecond));
    const cpu = (row: Row): number =>
      median(row.runs.map((run) => Object.values(run.cpuPer1000).reduce((sum, seconds) => sum + seconds, 0)));
    const label = labelOf(ours.variant, sessions);
    return [
      `- ${label}: ${(rate(ours) / rate(theirs)).toFixed(1)} × the messages per second of Postfix, ` +
        `with ${(cpu(theirs) / cpu(ours)).toFixed(1)} × less processor time a message.`,
    ];
  });
}

function labelOf(variant: string, sessions: number): string {
  return VARIANTS[variant]?.(sessions) ?? variant;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const low = sorted[Math.ceil(middle) - 1] ?? Number.NaN;
  const high = sorted[Math.floor(middle)] ?? Number.NaN;
  return (low + high) / 2;
}

function whole(value: number): string {
  return value.toFixed(0);
}

function milliseconds(values: readonly (number | undefined)[]): string {
  const known = values.filter((value) => value !== undefined);
  return known.length === 0 ? '–' : median(known).toFixed(1);
}

export function machine(): string {
  const model = cpus()[0]?.model.trim() ?? 'unknown processor';
  const memory = `${(totalmem() / 2 ** 30).toFixed(0)} GiB`;
  return `${String(cpus().length)} × ${model}, ${memory}, ${process.platform} ${release()} ${arch()}`;
}
