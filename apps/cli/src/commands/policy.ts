import type { Command } from 'commander';
import type { CommandContext } from '../context.js';
import { show } from '../context.js';
import { CommandError, EXIT } from '../failure.js';
import { findingLines, type ShownFinding } from '../findings.js';
import { reasonHeader } from '../headers.js';
import { collect } from '../pages.js';
import { filesField, FILES_HELP, foundLines, nameOf, policiesOf, readPolicyFiles, refused } from '../policy-files.js';
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
    .argument('<file...>', FILES_HELP)
    .description('check a policy and run its tests, without a server')
    .option('--each', 'every file is a policy of its own')
    .option('--quiet', 'print nothing for policies without findings')
    .action((files: string[], options: CheckOptions) => checkPolicies(context, files, options));
  policy
    .command('apply')
    .argument('<file...>', FILES_HELP)
    .description('check a policy on the server and make it the live one')
    .option('--dry-run', 'check only; nothing changes')
    .option('--reason <text>', 'why, kept with the revision')
    .option('--base <revision>', 'refuse when another revision is live by now', wholeNumber)
    .action((files: string[], options: ApplyOptions) => apply(context, files, options));
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

interface CheckOptions {
  readonly each?: true;
  readonly quiet?: true;
}

async function checkPolicies(context: CommandContext, names: readonly string[], options: CheckOptions): Promise<void> {
  const { checkFiles } = await import('#policy'); // the other commands start without the compiler
  const policies = policiesOf(readPolicyFiles(context, names), options.each === true);
  const results = policies.map((files) => ({ files, result: checkFiles(files, Date.now()) }));
  if (context.json()) {
    const answer = results.map(({ files, result }) => ({
      ...filesField(files),
      ok: result.ok,
      findings: result.findings,
    }));
    context.terminal.raw(`${JSON.stringify(answer, null, 2)}\n`);
  } else {
    for (const { files, result } of results) {
      const lines = foundLines(result.findings, files);
      const isQuiet = options.quiet === true && lines.length === 0;
      if (result.ok) context.terminal.out(isQuiet ? [] : [...lines, `${nameOf(files)}: ok`]);
      else context.terminal.err(lines);
    }
  }
  const faulty = results.filter(({ result }) => !result.ok).map(({ files }) => nameOf(files));
  if (faulty.length > 0) throw new CommandError(EXIT.refused, `refused: ${faulty.join(', ')}`, [], null);
}

interface ApplyOptions {
  readonly dryRun?: true;
  readonly reason?: string;
  readonly base?: number;
}

async function apply(context: CommandContext, names: readonly string[], options: ApplyOptions): Promise<void> {
  const file = names.join(' + ');
  const text = await joined(context, names);
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

/** The server knows only the joined document. */
async function joined(context: CommandContext, names: readonly string[]): Promise<string> {
  const files = readPolicyFiles(context, names);
  const [only] = files;
  if (files.length === 1 && only !== undefined) return only.text;
  const { joinPolicies } = await import('#policy');
  const result = joinPolicies(files);
  if (result.ok) return result.text;
  throw refused(context, files, result.findings);
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
