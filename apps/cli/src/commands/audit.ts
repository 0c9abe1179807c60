import type { Command } from 'commander';
import { show, type CommandContext } from '../context.js';
import { CommandError, EXIT } from '../failure.js';
import { wholeNumber } from '../options.js';
import { collect } from '../pages.js';
import { fields, safe, shortTime, table } from '../text.js';

/** A verification reads the whole audit. */
const PATIENCE_MS = 4 * 3_600_000;
const MOST_KEPT = 100;

interface Fault {
  readonly kind: string;
  readonly message: string;
  readonly at: string;
  readonly node?: string;
  readonly chain?: string;
  readonly sequence?: number;
}

interface Report {
  readonly ok: boolean;
  readonly first?: Fault;
  readonly faults: readonly Fault[];
  readonly since: string;
  readonly chains: number;
  readonly blocks: number;
  readonly rows: number;
  readonly checkpoints: number;
  readonly unsignedBlocks: number;
  readonly partialBlocks: number;
  readonly unchainedRows: number;
  readonly unknownKeys: readonly string[];
}

interface SignedText {
  readonly body: string;
  readonly signature: string;
}

interface Checkpoint extends SignedText {
  readonly node: string;
  readonly sequence: number;
  readonly madeAt: string;
  readonly key: string;
}

export function auditCommands(program: Command, context: CommandContext): void {
  const audit = program.command('audit').description('prove that the audit was not changed');
  audit
    .command('verify')
    .description('check the audit against its hash chain and its signed checkpoints; names the first bad block')
    .option('--checkpoints <file>', 'copies that you kept elsewhere, one JSON object a line; the last 100 are used')
    .action(async (options: { checkpoints?: string }) => {
      const file = options.checkpoints;
      const json = file === undefined ? {} : { checkpoints: keptIn(context.read(file), file) };
      const request = { method: 'POST', path: '/v1/audit:verify', json, timeoutMs: PATIENCE_MS } as const;
      const report = await context.api().json<Report>(request);
      show(context, report, () => reportLines(report));
      if (!report.ok) throw new CommandError(EXIT.refused, 'the audit was changed');
    });
  audit
    .command('checkpoints')
    .description('list the signed checkpoints, newest first; with --json they can be kept elsewhere')
    .option('--limit <n>', 'at most so many', wholeNumber, 20)
    .action(async (options: { limit: number }) => {
      const page = await collect<Checkpoint>(context.api(), '/v1/audit/checkpoints', {}, options.limit);
      show(context, page, () =>
        table(
          ['gateway', 'number', 'made', 'key'],
          page.data.map((it) => [it.node, it.sequence, shortTime(it.madeAt), it.key.slice(0, 16)]),
        ),
      );
    });
}

function reportLines(report: Report): readonly string[] {
  const notes = [
    report.unsignedBlocks > 0 && `${report.unsignedBlocks} blocks are newer than the newest checkpoint`,
    report.partialBlocks > 0 && `${report.partialBlocks} blocks lost rows to retention`,
    report.unchainedRows > 0 && `${report.unchainedRows} rows are older than the chain`,
    report.unknownKeys.length > 0 &&
      `checkpoints signed with keys that are not trusted here prove nothing: ${report.unknownKeys.join(', ')}`,
  ].filter((note) => note !== false);
  const figures = fields([
    ['audit', report.ok ? 'unchanged' : 'CHANGED'],
    ['since', shortTime(report.since)],
    ['blocks', `${report.blocks} in ${report.chains} chains`],
    ['rows', report.rows],
    ['checkpoints', report.checkpoints],
  ]);
  const found = report.faults.map(
    (fault, index) =>
      `${index === 0 ? 'first bad: ' : '           '}${shortTime(fault.at)} ${fault.kind}, ${placeOf(fault)}`,
  );
  return [...figures, ...notes.map((note) => `note: ${note}`), ...found];
}

function placeOf(fault: Fault): string {
  const place = fault.chain === undefined ? '' : `block ${fault.sequence ?? '?'} of chain ${fault.chain}: `;
  return safe(place + fault.message);
}

/** Lines of the file `checkpoints.ndjson`, or what `postern audit checkpoints --json` printed. */
function keptIn(text: string, file: string): readonly SignedText[] {
  const page = parsed(text);
  const values = hasData(page) ? [...page.data].reverse() : text.split('\n').map(parsed);
  const kept = values.flatMap((value) => {
    const { body, signature } = (value ?? {}) as Partial<SignedText>;
    return typeof body === 'string' && typeof signature === 'string' ? [{ body, signature }] : [];
  });
  if (kept.length === 0) throw new CommandError(EXIT.refused, `\`${safe(file)}\` holds no checkpoint`);
  return kept.slice(-MOST_KEPT);
}

function hasData(value: unknown): value is { readonly data: readonly unknown[] } {
  return typeof value === 'object' && value !== null && 'data' in value && Array.isArray(value.data);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
