import type { Command } from 'commander';
import type { CommandContext } from '../context.js';
import { show } from '../context.js';
import { CommandError, EXIT } from '../failure.js';
import { findingLines, type ShownFinding } from '../findings.js';
import { reasonHeader } from '../headers.js';
import { collect } from '../pages.js';
import { notInForce } from './in-force.js';
import { fields, shortTime, table } from '../text.js';
import { wholeNumber } from '../options.js';

const POLICY = '/v1/policies/main';

interface PolicyAnswer {
  readonly name: string;
  readonly revision: number;
  readonly digest: string;
  readonly createdAt?: string;
  readonly author?: string;
  readonly reason?: string;
  readonly live?: boolean;
  readonly source: string;
}

interface PublishAnswer {
  readonly revision: number;
  readonly previous?: number;
  readonly changed: boolean;
  readonly dryRun: boolean;
  readonly findings: readonly ShownFinding[];
}

/** The group, for those who add to it. */
export function policyCommands(program: Command, context: CommandContext): Command {
  const policy = program.command('policy').description('check, try, publish, read and roll back the policy');
  policy
    .command('check')
    .argument('<file...>', 'policy files, YAML or JSON; `-` is standard input')
    .description('check policies and run their tests, without a server')
    .option('--quiet', 'print nothing for policies without findings')
    .action((files: string[], options: { quiet?: true }) => checkFiles(context, files, options.quiet === true));
  policy
    .command('apply')
    .argument('<file>', 'policy file, YAML or JSON; `-` is standard input')
    .description('check a policy on the server and make it the live one')
    .option('--dry-run', 'check only; nothing changes')
    .option('--reason <text>', 'why, kept with the revision')
    .option('--base <revision>', 'refuse when another revision is live by now', wholeNumber)
    .action((file: string, options: ApplyOptions) => apply(context, file, options));
  policy
    .command('show')
    .description('print the live policy, or an earlier revision')
    .option('--revision <n>', 'a revision by number', wholeNumber)
    .action((options: { revision?: number }) => showPolicy(context, options.revision));
  policy
    .command('history')
    .description('list revisions, newest first')
    .option('--limit <n>', 'at most so many', wholeNumber, 20)
    .action((options: { limit: number }) => history(context, options.limit));
  policy
    .command('rollback')
    .argument('<revision>', 'number of an earlier revision', wholeNumber)
    .description('make an existing revision the live one again')
    .option('--reason <text>', 'why, kept with the release')
    .action((revision: number, options: { reason?: string }) => rollback(context, revision, options.reason));
  return policy;
}

async function checkFiles(context: CommandContext, files: readonly string[], quiet: boolean): Promise<void> {
  const { check } = await import('#policy'); // the other commands start without the compiler
  const results = files.map((file) => {
    const text = context.read(file);
    return { file, text, result: check(text) };
  });
  if (context.json()) {
    const answer = results.map(({ file, result }) => ({ file, ok: result.ok, findings: result.findings }));
    context.terminal.raw(`${JSON.stringify(answer, null, 2)}\n`);
  } else {
    for (const { file, text, result } of results) {
      const lines = result.findings.flatMap((finding) => findingLines(finding, { text, file }));
      if (result.ok) context.terminal.out(quiet && lines.length === 0 ? [] : [...lines, `${file}: ok`]);
      else context.terminal.err(lines);
    }
  }
  const refused = results.filter(({ result }) => !result.ok).map(({ file }) => file);
  if (refused.length > 0) throw new CommandError(EXIT.refused, `refused: ${refused.join(', ')}`, [], null);
}

interface ApplyOptions {
  readonly dryRun?: true;
  readonly reason?: string;
  readonly base?: number;
}

async function apply(context: CommandContext, file: string, options: ApplyOptions): Promise<void> {
  const text = context.read(file);
  const answer = await context.api().json<PublishAnswer>({
    method: 'PUT',
    path: POLICY,
    query: { dryRun: options.dryRun === true ? 'true' : undefined },
    policy: { text, file },
    headers: { ...(await precondition(context, options.base)), ...reasonHeader(options.reason) },
  });
  show(context, answer, () => [
    ...answer.findings.flatMap((finding) => findingLines(finding, { text, file })),
    summary(file, answer),
  ]);
  if (answer.changed && !answer.dryRun) context.terminal.err(await notInForce(context, answer.revision));
}

function summary(file: string, answer: PublishAnswer): string {
  if (!answer.changed) return `${file}: is revision ${answer.revision}, live already`;
  if (answer.dryRun) return `${file}: ok, would be published; nothing was changed`;
  return `revision ${answer.revision} is live`;
}

/** The state this change is based on: what is live now, unless the caller names the base. */
async function precondition(context: CommandContext, base: number | undefined): Promise<Record<string, string>> {
  try {
    const live = await context.api().send({ path: POLICY });
    const { revision } = JSON.parse(live.text) as PolicyAnswer;
    if (base !== undefined && base !== revision) {
      throw new CommandError(
        EXIT.refused,
        `revision ${revision} is live by now, not ${base}; read it and repeat the change`,
      );
    }
    return { 'If-Match': live.headers.get('etag') ?? '*' };
  } catch (error) {
    const nothingLive =
      error instanceof CommandError && (error.problem as { status?: number } | undefined)?.status === 404;
    if (nothingLive) return { 'If-None-Match': '*' };
    throw error;
  }
}

async function showPolicy(context: CommandContext, revision: number | undefined): Promise<void> {
  const path = revision === undefined ? POLICY : `${POLICY}/revisions/${revision}`;
  const answer = await context.api().json<PolicyAnswer>({ path });
  if (context.json()) {
    show(context, answer, () => []);
    return;
  }
  // The source alone on standard output, so that `postern policy show > policy.yaml` is the policy.
  context.terminal.err(
    fields([
      ['revision', answer.revision],
      ['digest', answer.digest],
      ['author', answer.author],
      ['created', answer.createdAt],
      ['reason', answer.reason],
    ]),
  );
  context.terminal.raw(answer.source.endsWith('\n') ? answer.source : `${answer.source}\n`);
}

async function history(context: CommandContext, limit: number): Promise<void> {
  const path = `${POLICY}/revisions`;
  const page = await collect<PolicyAnswer>(context.api(), path, {}, limit);
  show(context, page, () =>
    table(
      ['revision', 'live', 'created', 'author', 'digest', 'reason'],
      page.data.map((it) => [
        it.revision,
        it.live === true ? 'live' : '',
        shortTime(it.createdAt),
        it.author,
        it.digest.slice(0, 19),
        it.reason,
      ]),
    ),
  );
}

async function rollback(context: CommandContext, revision: number, reason: string | undefined): Promise<void> {
  const json = { revision, ...(reason !== undefined && { reason }) };
  const answer = await context.api().json<PublishAnswer>({ method: 'POST', path: `${POLICY}/releases`, json });
  show(context, answer, () => [
    answer.changed ? `revision ${answer.revision} is live` : `revision ${answer.revision} was live already`,
  ]);
  if (answer.changed) context.terminal.err(await notInForce(context, answer.revision));
}
