/** What was live, what becomes live, how to go back, and who wrote a rule. */
import type { Command } from 'commander';
import { show, type CommandContext } from '../context.js';
import { CommandError, EXIT } from '../failure.js';
import { reasonHeader } from '../headers.js';
import { wholeNumber } from '../options.js';
import { collect } from '../pages.js';
import { fields, safe, shortTime, table } from '../text.js';
import { notInForce } from './in-force.js';

export const POLICY = '/v1/policies/main';

interface RevisionAnswer {
  readonly revision: number;
  readonly digest: string;
  readonly createdAt?: string;
  readonly author?: string;
  readonly reason?: string;
  readonly sourceCommit?: string;
  readonly live?: boolean;
}

interface LiveAnswer extends RevisionAnswer {
  readonly document: { readonly acl?: Readonly<Record<string, readonly { readonly name: string }[]>> };
  readonly release: { readonly id: number; readonly previous?: number; readonly confirmBy?: string };
}

interface BlameAnswer {
  readonly rule: string;
  readonly changed: RevisionAnswer;
  readonly introduced?: RevisionAnswer;
}

interface ReleaseAnswer {
  readonly id: number;
  readonly revision: number;
  readonly state: string;
}

export function releaseCommands(policy: Command, context: CommandContext): void {
  policy
    .command('history')
    .description('list revisions, newest first')
    .option('--limit <n>', 'at most so many', wholeNumber, 20)
    .action((options: { limit: number }) => history(context, options.limit));
  policy
    .command('rollback')
    .argument('[revision]', 'number of an earlier revision; the one that was live before unless given', wholeNumber)
    .description('make an existing revision the live one again')
    .option('--reason <text>', 'why, kept with the release')
    .action((revision: number | undefined, options: { reason?: string }) =>
      rollback(context, revision, options.reason),
    );
  policy
    .command('confirm')
    .description('keep what is live, where it would lapse otherwise (apply --confirm-within)')
    .option('--reason <text>', 'why, kept with the release')
    .action((options: { reason?: string }) => endRelease(context, 'confirm', options.reason));
  policy
    .command('abort')
    .description('go back at once from what waits to be confirmed')
    .option('--reason <text>', 'why, kept with the release')
    .action((options: { reason?: string }) => endRelease(context, 'abort', options.reason));
  policy
    .command('blame')
    .argument('[rule]', 'such as `rcpt/leaver`, `clients/office`, `routes/groupware`; all rules unless given')
    .description('tell who wrote a rule: revision, author, reason and source commit')
    .option('--revision <n>', 'as this revision has it; the live one unless given', wholeNumber)
    .action((rule: string | undefined, options: { revision?: number }) => blame(context, rule, options.revision));
}

async function history(context: CommandContext, limit: number): Promise<void> {
  const page = await collect<RevisionAnswer>(context.api(), `${POLICY}/revisions`, {}, limit);
  show(context, page, () =>
    table(
      ['revision', 'live', 'created', 'author', 'digest', 'source', 'reason'],
      page.data.map((it) => [
        it.revision,
        it.live === true ? 'live' : '',
        shortTime(it.createdAt),
        it.author,
        it.digest.slice(0, 19),
        it.sourceCommit,
        it.reason,
      ]),
    ),
  );
}

async function rollback(
  context: CommandContext,
  wanted: number | undefined,
  reason: string | undefined,
): Promise<void> {
  const { release } = await context.api().json<LiveAnswer>({ path: POLICY });
  if (wanted === undefined && release.confirmBy !== undefined) {
    await endRelease(context, 'abort', reason);
    return;
  }
  const revision = wanted ?? release.previous;
  if (revision === undefined) throw new CommandError(EXIT.refused, 'nothing was live before what is live now');
  const json = { revision, ...(reason !== undefined && { reason }) };
  const answer = await context
    .api()
    .json<{ revision: number; changed: boolean }>({ method: 'POST', path: `${POLICY}/releases`, json });
  show(context, answer, () => [
    answer.changed ? `revision ${answer.revision} is live` : `revision ${answer.revision} was live already`,
  ]);
  if (answer.changed) context.terminal.err(await notInForce(context, answer.revision));
}

async function endRelease(
  context: CommandContext,
  verb: 'confirm' | 'abort',
  reason: string | undefined,
): Promise<void> {
  const { release } = await context.api().json<LiveAnswer>({ path: POLICY });
  const answer = await context.api().json<ReleaseAnswer>({
    method: 'POST',
    path: `${POLICY}/releases/${release.id}:${verb}`,
    headers: reasonHeader(reason),
  });
  const now = verb === 'confirm' ? answer.revision : (await context.api().json<LiveAnswer>({ path: POLICY })).revision;
  show(context, answer, () => [`release ${answer.id} is ${answer.state}; revision ${now} is live`]);
  if (verb === 'abort') context.terminal.err(await notInForce(context, now));
}

async function blame(context: CommandContext, rule: string | undefined, revision: number | undefined): Promise<void> {
  const path = revision === undefined ? POLICY : `${POLICY}/revisions/${revision}`;
  const policy = await context.api().json<LiveAnswer>({ path });
  const acl = Object.entries(policy.document.acl ?? {});
  const rules = rule === undefined ? acl.flatMap(([phase, all]) => all.map(({ name }) => `${phase}/${name}`)) : [rule];
  const answers: BlameAnswer[] = [];
  for (const each of rules) answers.push(await origin(context, policy.revision, each));
  const [only] = answers;
  if (rule !== undefined && only !== undefined) {
    show(context, only, () => [`${safe(only.rule)}, as revision ${policy.revision} has it`, ...originLines(only)]);
    return;
  }
  show(context, { data: answers }, () =>
    table(
      ['rule', 'changed in', 'by', 'at', 'source', 'reason'],
      answers.map(({ rule: id, changed }) => [
        id,
        changed.revision,
        changed.author,
        shortTime(changed.createdAt),
        changed.sourceCommit,
        changed.reason,
      ]),
    ),
  );
}

function origin(context: CommandContext, revision: number, rule: string): Promise<BlameAnswer> {
  const slash = rule.indexOf('/');
  if (slash <= 0) throw new CommandError(EXIT.usage, `\`${rule}\` is no rule, expected one such as \`rcpt/leaver\``);
  const [section, name] = [rule.slice(0, slash), rule.slice(slash + 1)].map(encodeURIComponent);
  return context.api().json<BlameAnswer>({ path: `${POLICY}/revisions/${revision}/rules/${section}/${name}` });
}

function originLines({ changed, introduced }: BlameAnswer): readonly string[] {
  const lines = (what: string, it: RevisionAnswer): readonly string[] =>
    fields([
      [what, `revision ${it.revision}`],
      ['by', it.author],
      ['at', shortTime(it.createdAt)],
      ['reason', it.reason],
      ['source', it.sourceCommit],
    ]);
  const isSame = introduced?.revision === changed.revision;
  return isSame || introduced === undefined
    ? lines(isSame ? 'introduced' : 'changed', changed)
    : [...lines('changed', changed), '', ...lines('introduced', introduced)];
}
