import type { Command } from 'commander';
import type { CommandContext } from '../context.js';
import { show } from '../context.js';
import { CommandError, EXIT } from '../failure.js';
import { findingLines, type ShownFinding } from '../findings.js';
import { reasonHeader } from '../headers.js';
import { filesField, FILES_HELP, foundLines, nameOf, policiesOf, readPolicyFiles, refused } from '../policy-files.js';
import { notInForce } from './in-force.js';
import { POLICY, releaseCommands } from './policy-releases.js';
import { fields, safe, shortTime } from '../text.js';
import { wholeNumber } from '../options.js';

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
  readonly confirmBy?: string;
  readonly findings: readonly ShownFinding[];
  readonly diff?: string;
  readonly changes?: readonly { readonly section: string; readonly name: string; readonly change: string }[];
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
    .option('--confirm-within <span>', 'go back by itself unless `policy confirm` comes within, such as `10m`')
    .option('--source-commit <id>', 'where you keep it, such as a Git commit; kept with the revision')
    .action((files: string[], options: ApplyOptions) => apply(context, files, options));
  policy
    .command('plan')
    .argument('<file...>', FILES_HELP)
    .description('tell what applying it would change, and what is wrong with it; nothing changes')
    .action((files: string[]) => plan(context, files));
  policy
    .command('show')
    .description('print the live policy, or an earlier revision')
    .option('--revision <n>', 'a revision by number', wholeNumber)
    .action((options: { revision?: number }) => showPolicy(context, options.revision));
  releaseCommands(policy, context);
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
  readonly confirmWithin?: string;
  readonly sourceCommit?: string;
}

async function apply(context: CommandContext, names: readonly string[], options: ApplyOptions): Promise<void> {
  const file = names.join(' + ');
  const text = await joined(context, names);
  const answer = await context.api().json<PublishAnswer>({
    method: 'PUT',
    path: POLICY,
    query: { dryRun: options.dryRun === true ? 'true' : undefined, confirmWithin: options.confirmWithin },
    policy: { text, file },
    headers: {
      ...(await precondition(context, options.base)),
      ...reasonHeader(options.reason),
      ...(options.sourceCommit !== undefined && { 'Source-Commit': options.sourceCommit }),
    },
  });
  show(context, answer, () => [
    ...answer.findings.flatMap((finding) => findingLines(finding, { text, file })),
    summary(file, answer),
  ]);
  if (answer.changed && !answer.dryRun) context.terminal.err(await notInForce(context, answer.revision));
}

async function plan(context: CommandContext, names: readonly string[]): Promise<void> {
  const file = names.join(' + ');
  const text = await joined(context, names);
  const answer = await context.api().json<PublishAnswer>({
    method: 'PUT',
    path: POLICY,
    query: { dryRun: 'true' },
    policy: { text, file },
    headers: await precondition(context, undefined),
  });
  show(context, answer, () => [
    ...(answer.diff ?? '')
      .trimEnd()
      .split('\n')
      .filter((line) => line !== '')
      .map(safe),
    ...answer.findings.flatMap((finding) => findingLines(finding, { text, file })),
    ...(answer.changes ?? []).map(({ section, name, change }) =>
      safe(`${change}: ${section === '' ? '' : `${section}/`}${name}`),
    ),
    answer.changed
      ? `${file}: ok; nothing was changed. To apply it: --base ${answer.revision}`
      : `${file}: is revision ${answer.revision}, live already`,
  ]);
}

/** The server knows only the joined document. */
/** The text of the policy that the files together are. */
export async function joined(context: CommandContext, names: readonly string[]): Promise<string> {
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
  const until = answer.confirmBy === undefined ? '' : `, until ${shortTime(answer.confirmBy)} unless it is confirmed`;
  return `revision ${answer.revision} is live${until}`;
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
