import { Option, type Command } from 'commander';
import { show, type CommandContext } from '../context.js';
import { pointInTime, wholeNumber } from '../options.js';
import { collect } from '../pages.js';
import { cell, fields, safe, shortTime, table } from '../text.js';

interface SearchOptions {
  readonly since?: string;
  readonly until?: string;
  readonly sender?: string;
  readonly senderDomain?: string;
  readonly recipient?: string;
  readonly ip?: string;
  readonly verdict?: string;
  readonly rule?: string;
  readonly messageId?: string;
  readonly limit: number;
}

interface TransactionRow {
  readonly id: string;
  readonly at: string;
  readonly verdict: string;
  readonly sender: string;
  readonly recipients: readonly string[];
  readonly ip?: string;
  readonly by?: string;
  readonly reply?: string;
}

interface AttemptRow {
  readonly attempt: number;
  readonly at: string;
  readonly outcome: string;
  readonly host?: string;
  readonly address?: string;
  readonly port?: number;
  readonly reply?: string;
  readonly tls?: { readonly version?: string; readonly verified: boolean; readonly why?: string };
  readonly signed?: readonly string[];
  readonly unsigned?: string;
}

interface RecipientStory {
  readonly id: string;
  readonly original: string;
  readonly address: string;
  readonly verdict: string;
  readonly by?: string;
  readonly reply?: string;
  readonly finalReply?: string;
  readonly route?: string;
  readonly state: string;
  readonly nextAttemptAt?: string;
  readonly attempts: readonly AttemptRow[];
}

interface ExplanationAnswer {
  readonly transaction: string;
  readonly decidedBy: { readonly policy: string; readonly revision: number };
  readonly client: string;
  readonly text: readonly string[];
}

interface TransactionStory {
  readonly id: string;
  readonly at: string;
  readonly verdict: string;
  readonly decision: {
    readonly by?: string;
    readonly policy: string;
    readonly revision: number;
    readonly client: string;
  };
  readonly session: {
    readonly ip?: string;
    readonly port?: number;
    readonly helo?: string;
    readonly protocol?: string;
    readonly listener: string;
  };
  readonly envelope: { readonly sender: string };
  readonly authentication?: {
    readonly spf?: { readonly result: string; readonly domain: string };
    readonly dkim?: readonly { readonly result: string; readonly domain: string }[];
    readonly dmarc?: { readonly result: string; readonly domain: string; readonly policy?: string };
    readonly arc?: { readonly result: string; readonly sealers: readonly string[] };
  };
  readonly message?: {
    readonly sizeBytes: number;
    readonly messageId?: string;
    readonly from?: string;
    readonly subject?: string;
    readonly digest: string;
  };
  readonly reply?: string;
  readonly reason?: string;
  readonly recipients: readonly RecipientStory[];
}

export function transactionCommands(program: Command, context: CommandContext): void {
  const tx = program.command('tx').description('search the audit: which mail came, what was decided, where it went');
  tx.command('list')
    .description('list transactions, newest first')
    .option(
      '--since <when>',
      'from this time on: `2026-12-31T12:00:00Z`, `2026-12-31`, or a span such as `2h`',
      pointInTime,
    )
    .option('--until <when>', 'before this time', pointInTime)
    .option('--sender <address>', 'reverse path; `<>` is the null sender')
    .option('--sender-domain <domain>', 'domain of the reverse path')
    .option('--recipient <address>', 'a recipient')
    .option('--ip <address>', 'address of the client')
    .addOption(new Option('--verdict <verdict>', 'how it ended').choices(['accepted', 'refused', 'abandoned']))
    .option('--rule <rule>', 'rule that decided, such as `rcpt/leaver` or `builtin/relay-denied`')
    .option('--message-id <id>', 'Message-ID header')
    .option('--limit <n>', 'at most so many', wholeNumber, 50)
    .action((options: SearchOptions) => search(context, options));
  tx.command('show')
    .argument('<id>', '`txn_…`, or the trace from a reply')
    .description('tell the whole story of a transaction')
    .action((id: string) => tell(context, id));
  tx.command('explain')
    .argument('<id>', '`txn_…`, or the trace from a reply')
    .description('tell step by step why a transaction was decided as it was')
    .option('--against <revision>', 'judge it by this revision of the policy instead', wholeNumber)
    .action((id: string, options: { against?: number }) => explain(context, id, options.against));
}

async function search(context: CommandContext, options: SearchOptions): Promise<void> {
  const query = {
    'at.gte': options.since,
    'at.lt': options.until,
    sender: options.sender,
    senderDomain: options.senderDomain,
    recipient: options.recipient,
    ip: options.ip,
    verdict: options.verdict,
    rule: options.rule,
    messageId: options.messageId,
  };
  const page = await collect<TransactionRow>(context.api(), '/v1/transactions', query, options.limit);
  show(context, page, () => {
    if (page.data.length === 0) return ['no transaction found'];
    return table(
      ['at', 'id', 'verdict', 'client', 'sender', 'recipients', 'rule'],
      page.data.map((it) => [
        shortTime(it.at),
        it.id,
        it.verdict,
        it.ip,
        nullSender(it.sender),
        recipients(it.recipients),
        it.by,
      ]),
    );
  });
}

function nullSender(sender: string): string {
  return sender === '' ? '<>' : sender;
}

function recipients(addresses: readonly string[]): string {
  const [first, ...others] = addresses;
  return others.length === 0 ? cell(first) : `${cell(first)} +${others.length}`;
}

async function tell(context: CommandContext, id: string): Promise<void> {
  const story = await context.api().json<TransactionStory>({ path: `/v1/transactions/${encodeURIComponent(id)}` });
  show(context, story, () => [
    ...fields([...heading(story), ...authentication(story)]),
    ...story.recipients.flatMap((recipient) => ['', ...recipientLines(recipient)]),
  ]);
}

async function explain(context: CommandContext, id: string, against: number | undefined): Promise<void> {
  const answer = await context.api().json<ExplanationAnswer>({
    path: `/v1/transactions/${encodeURIComponent(id)}/explain`,
    query: { againstRevision: against === undefined ? undefined : String(against) },
  });
  show(context, answer, () => [
    ...fields([
      ['transaction', answer.transaction],
      ['judged by', `${answer.decidedBy.policy}, revision ${answer.decidedBy.revision}`],
      ['client', answer.client],
    ]),
    '',
    ...answer.text.map(safe),
  ]);
}

function heading(story: TransactionStory): readonly (readonly [string, unknown])[] {
  const { session, message, decision } = story;
  return [
    ['transaction', story.id],
    ['at', story.at],
    ['verdict', decision.by ? `${story.verdict} by ${decision.by}` : story.verdict],
    ['reason', story.reason],
    ['reply', story.reply],
    ['policy', `${decision.policy}, revision ${decision.revision}`],
    ['listener', session.listener],
    ['client', `${session.ip ?? '?'}${session.port === undefined ? '' : ` port ${session.port}`} (${decision.client})`],
    ['helo', session.helo],
    ['sender', nullSender(story.envelope.sender)],
    ['message-id', message?.messageId],
    ['from', message?.from],
    ['subject', message?.subject],
    ['size', message?.sizeBytes],
    ['sha-256', message?.digest],
  ];
}

/** Results only; `explain` has the evidence. */
function authentication({ authentication: found = {} }: TransactionStory): readonly (readonly [string, unknown])[] {
  const { spf, dkim = [], dmarc, arc } = found;
  return [
    ['spf', spf && `${spf.result} for ${spf.domain}`],
    ['dkim', dkim.map(({ result, domain }) => `${result} by ${domain}`).join(', ') || undefined],
    [
      'dmarc',
      dmarc && `${dmarc.result} for ${dmarc.domain}${dmarc.policy === undefined ? '' : ` (p=${dmarc.policy})`}`,
    ],
    ['arc', arc && arc.result !== 'none' ? `${arc.result}, sealed by ${arc.sealers.join(', ')}` : undefined],
  ];
}

function recipientLines(recipient: RecipientStory): readonly string[] {
  const { original, address } = recipient;
  const said = recipient.by ? `${recipient.verdict} by ${recipient.by}` : recipient.verdict;
  return [
    ...fields([
      ['recipient', address],
      ['as given', original === address ? undefined : original],
      ['verdict', said],
      ['reply', recipient.reply],
      ['final reply', recipient.finalReply],
      ['route', recipient.route],
      ['state', recipient.state],
      ['next attempt', recipient.nextAttemptAt],
    ]),
    ...recipient.attempts.map(
      (it) => `  ${shortTime(it.at)}  attempt ${it.attempt}  ${it.outcome}  ${hop(it)}  ${cell(it.reply)}`,
    ),
  ];
}

function hop(attempt: AttemptRow): string {
  const where = attempt.address === undefined ? '' : ` [${cell(attempt.address)}]:${attempt.port ?? '?'}`;
  return `${cell(attempt.host)}${where}${secured(attempt)}${signed(attempt)}`;
}

function signed({ signed: names = [], unsigned }: AttemptRow): string {
  if (unsigned !== undefined) return `, ${cell(unsigned)}`;
  return names.length === 0 ? '' : `, signed as ${cell(names.join(', '))}`;
}

function secured({ tls }: AttemptRow): string {
  if (tls === undefined) return '';
  const proven = tls.verified ? 'verified' : `not verified: ${cell(tls.why)}`;
  return tls.version === undefined ? ` (plaintext: ${cell(tls.why)})` : ` (${cell(tls.version)}, ${proven})`;
}
