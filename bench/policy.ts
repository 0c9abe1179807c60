/**
 * What issue and documentation say of the policy, measured: decisions by number of rules, look-ups by number of entries,
 * what a big list takes in memory, to load and to change, how long a check takes, and RCPT probes beside Postfix.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { measureChecks, measureDecisions } from './policy-decisions.js';
import { measureLoading, measureLookUps } from './policy-lists.js';
import { measureLive } from './policy-live.js';
import { measureProbes } from './probes.js';
import { machine, writeSection } from './report.js';

const HELP = `npm run bench:policy -- [options]

  --parts LIST     of decisions, checks, look-ups, loading, live   (default all)
  --entries LIST   sizes of lists for the curve       (default 10,1000,1000000,10000000)
  --load N         entries of the list that is loaded and changed   (default 1000000)
  --probes N       entries behind the RCPT probes beside Postfix; 0 leaves them out   (default 0; needs root, postfix-lmdb)
  --seconds N      seconds of each run of probes      (default 5)
  --runs N         runs of probes of each peer, in turns; the median counts   (default 5)
  --write          put the figures into docs/performance.md
`;

const PARTS = ['decisions', 'checks', 'look-ups', 'loading', 'live'] as const;

interface PolicyBenchOptions {
  readonly parts: readonly string[];
  readonly sizes: readonly number[];
  readonly load: number;
  readonly probes: number;
  readonly seconds: number;
  readonly runs: number;
  readonly write: boolean;
}

export async function main(argv: readonly string[], project: string): Promise<number> {
  const options = readOptions(argv);
  if (options === undefined) {
    process.stdout.write(HELP);
    return 0;
  }
  const head = `${new Date().toISOString().slice(0, 10)}, \`npm run bench:policy -- ${argv.join(' ')}\`. ${machine()}.`;
  const parts: string[] = [];
  for (const part of options.parts) parts.push((await measurePart(part, project, options)).join('\n'));
  if (parts.length > 0) await report('policy', [head, ...parts].join('\n\n'), { project, options });
  if (options.probes > 0) {
    const { probes: entries, seconds, runs } = options;
    const lines = await measureProbes(project, { entries, seconds, runs });
    await report('probes', [head, lines.join('\n')].join('\n\n'), { project, options });
  }
  return 0;
}

async function measurePart(part: string, project: string, options: PolicyBenchOptions): Promise<readonly string[]> {
  process.stderr.write(`${part}\n`);
  switch (part) {
    case 'decisions':
      return measureDecisions();
    case 'checks':
      return measureChecks();
    case 'look-ups':
      return measureLookUps(options.sizes);
    case 'loading':
      return measureLoading(project, options.load);
    default:
      return measureLive(project, options.load);
  }
}

async function report(
  section: string,
  text: string,
  { project, options }: { readonly project: string; readonly options: PolicyBenchOptions },
): Promise<void> {
  process.stdout.write(`${text}\n\n`);
  if (options.write) await writeSection(join(project, 'docs/performance.md'), section, text);
}

function readOptions(argv: readonly string[]): PolicyBenchOptions | undefined {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      parts: { type: 'string', default: PARTS.join(',') },
      entries: { type: 'string', default: '10,1000,1000000,10000000' },
      load: { type: 'string', default: '1000000' },
      probes: { type: 'string', default: '0' },
      seconds: { type: 'string', default: '5' },
      runs: { type: 'string', default: '5' },
      write: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return undefined;
  const parts = values.parts === '' ? [] : values.parts.split(',');
  const unknown = parts.find((part) => !PARTS.some((known) => known === part));
  if (unknown !== undefined) throw new Error(`--parts: \`${unknown}\` is not one of ${PARTS.join(', ')}`);
  return {
    parts,
    sizes: values.entries.split(',').map((text) => whole('entries', text)),
    load: whole('load', values.load),
    probes: whole('probes', values.probes, 0),
    seconds: whole('seconds', values.seconds),
    runs: whole('runs', values.runs),
    write: values.write,
  };
}

function whole(name: string, text: string, least = 1): number {
  const value = Number(text);
  if (/^\d{1,9}$/.test(text) && value >= least) return value;
  throw new Error(`--${name}: expected a whole number from ${String(least)}, not \`${text}\``);
}
