import type { Command } from 'commander';
import { show, type CommandContext } from '../context.js';
import { CommandError, EXIT } from '../failure.js';
import { reasonHeader } from '../headers.js';
import { wholeNumber } from '../options.js';
import { collect } from '../pages.js';
import { fields, safe, shortTime, table } from '../text.js';

interface ReviewRow {
  readonly id: string;
  readonly transaction: string;
  readonly queue: string;
  readonly rule: string;
  readonly sender: string;
  readonly recipient: string;
  readonly subject?: string;
  readonly sizeBytes: number;
  readonly heldAt: string;
  readonly expiresAt: string;
  readonly insteadOf?: string;
  readonly kept?: string;
  readonly requested?: { readonly action: string; readonly actor: string };
}

interface ReviewAnswer extends ReviewRow {
  readonly header: readonly { readonly name: string; readonly value: string }[];
  readonly text: string;
}

interface OutcomeAnswer {
  readonly id: string;
  readonly outcome: string;
  readonly kept?: string;
  readonly dryRun?: boolean;
}

interface ActOptions {
  readonly dryRun?: true;
  readonly reason?: string;
}

const PATH = '/v1/reviews';
const ID = 'id, as `postern review list` shows it';

export function reviewCommands(program: Command, context: CommandContext): void {
  const review = program.command('review').description('mail that waits for a person');
  review
    .command('list')
    .description('list held mail, oldest first')
    .option('--queue <name>', 'only this review queue')
    .option('--limit <n>', 'at most so many', wholeNumber, 100)
    .action(async (options: { queue?: string; limit: number }) => {
      const page = await collect<ReviewRow>(context.api(), PATH, { queue: options.queue }, options.limit);
      show(context, page, () => (page.data.length === 0 ? ['nothing waits for review'] : listed(page.data)));
    });
  review
    .command('show')
    .argument('<id>', ID)
    .description('show header and beginning of the text')
    .action(async (id: string) => {
      const answer = await context.api().json<ReviewAnswer>({ path: `${PATH}/${encodeURIComponent(id)}` });
      show(context, answer, () => shown(answer));
    });
  act(review, context, ['release', 'let it through, if no other rule of the policy in force objects']);
  act(review, context, ['reject', 'refuse it; its sender gets a notice']);
  act(review, context, ['return', 'send it back without a judgement; its sender gets a notice']);
  act(review, context, ['discard', 'throw it away; nobody is told. Needs --reason']);
}

function act(review: Command, context: CommandContext, [action, description]: readonly [string, string]): void {
  review
    .command(action)
    .argument('<id>', ID)
    .description(description)
    .option('--reason <text>', 'why, kept in the audit')
    .option('--dry-run', 'find out, change nothing')
    .action(async (id: string, options: ActOptions) => {
      const answer = await context.api().json<OutcomeAnswer>({
        method: 'POST',
        path: `${PATH}/${encodeURIComponent(id)}:${action}`,
        query: { dryRun: options.dryRun === true ? 'true' : undefined },
        headers: reasonHeader(options.reason),
      });
      if (answer.outcome === 'kept') throw new CommandError(EXIT.refused, outcomeText(answer), [], answer);
      show(context, answer, () => [outcomeText(answer)]);
    });
}

function outcomeText({ id, outcome, kept, dryRun }: OutcomeAnswer): string {
  if (outcome === 'kept') return safe(`${id} is kept: the policy in force says ${kept ?? 'no'}`);
  if (dryRun === true) return `${id} would be ${outcome}`;
  return outcome === 'requested' ? `${id}: asked for; no gateway has carried it out yet` : `${id} is ${outcome}`;
}

function listed(rows: readonly ReviewRow[]): readonly string[] {
  return table(
    ['id', 'queue', 'held', 'expires', 'rule', 'sender', 'recipient', 'subject'],
    rows.map((it) => [
      it.id,
      it.queue,
      shortTime(it.heldAt),
      shortTime(it.expiresAt),
      it.rule,
      it.sender === '' ? '<>' : it.sender,
      it.recipient,
      it.subject,
    ]),
  );
}

function shown(it: ReviewAnswer): readonly string[] {
  const { requested } = it;
  return [
    ...fields([
      ['id', it.id],
      ['transaction', it.transaction],
      ['queue', it.queue],
      ['held by', it.rule],
      ['held', shortTime(it.heldAt)],
      ['expires', shortTime(it.expiresAt)],
      ['sender', it.sender === '' ? '<>' : it.sender],
      ['recipient', it.recipient],
      ['octets', it.sizeBytes],
      ['instead of', it.insteadOf],
      ['kept', it.kept],
      ['asked for', requested === undefined ? undefined : `${requested.action} by ${requested.actor}`],
    ]),
    '',
    ...it.header.map(({ name, value }) => safe(`${name}: ${value}`)),
    '',
    ...it.text.split('\n').map(safe),
  ];
}
