import { safe } from './text.js';

/** A finding of the policy compiler, from `#policy` or from the API. */
export interface ShownFinding {
  readonly code?: string;
  readonly severity?: string;
  readonly pointer?: string;
  readonly line?: number;
  readonly column?: number;
  readonly file?: string;
  readonly message: string;
  readonly fix?: string;
}

export interface FindingSource {
  readonly text: string;
  readonly file: string;
}

const WORDS: Readonly<Record<string, string>> = { blocks: 'error', warns: 'warning', info: 'note' };
const WIDEST = 160;

/**
 * As compilers do it: `file:line:column: error R1: message`, the line it is about with a mark under the place, and
 * the fix.
 */
export function findingLines(finding: ShownFinding, source: FindingSource): readonly string[] {
  const { line, column } = finding;
  const place = line === undefined ? source.file : `${source.file}:${line}${column === undefined ? '' : `:${column}`}`;
  const word = WORDS[finding.severity ?? 'blocks'] ?? 'error';
  const code = finding.code === undefined ? '' : ` ${finding.code}`;
  const where = line === undefined && finding.pointer ? ` (at ${finding.pointer})` : '';
  return [
    safe(`${place}: ${word}${code}: ${finding.message}${where}`),
    ...excerpt(
      finding.pointer?.startsWith('/routes') === true ? withoutPasswords(source.text) : source.text,
      line,
      column,
    ),
    ...(finding.fix === undefined ? [] : [safe(`  fix: ${finding.fix}`)]),
  ];
}

/** A password that stands in a policy by mistake is not to stand in a log as well. Same length, so that marks fit. */
function withoutPasswords(text: string): string {
  return text.replaceAll(/(?<=\b(?:auth|password)["']?:\s*["']?)(?!secret\/)[^\s{},"'][^\n,}"']*/gu, (password) =>
    '*'.repeat(password.length),
  );
}

function excerpt(text: string, line: number | undefined, column: number | undefined): readonly string[] {
  const written = line === undefined ? undefined : text.split('\n')[line - 1];
  if (written === undefined || written.trim() === '') return [];
  const shown = safe(written.trimEnd().replaceAll('\t', ' ')).slice(0, WIDEST);
  const gutter = `  ${String(line)} | `;
  if (column === undefined || column > WIDEST) return [gutter + shown];
  return [gutter + shown, `${' '.repeat(gutter.length - 2)}| ${' '.repeat(column - 1)}^`];
}
