import { publicId, traceOf, type RecordedRecipient, type TransactionRecord } from '#audit';
import type { ConditionStep, Decision, Explanation, RecipientDecision, Step } from '#policy';
import type { Fields } from '../http/fields.js';
import type {
  BecauseDto,
  DifferenceDto,
  ExplainedRecipientDto,
  ExplanationDto,
  JudgedByDto,
  StepDto,
} from './explanation.dto.js';
import type { Introduced } from '../policies/rule-history.js';
import { mailAuthLines } from './mail-auth-lines.js';

export interface Recomputed {
  /** UUID of the transaction. */
  readonly id: string;
  readonly record: TransactionRecord;
  readonly judgedBy: Fields<JudgedByDto>;
  readonly explanation: Explanation;
  /** By the ids of the rules that decided. */
  readonly introduced: ReadonlyMap<string, Introduced>;
}

/** The explanation in the words of the API, and how its decision differs from the recorded one. */
export function explanationOf({ id, record, judgedBy, explanation, introduced }: Recomputed): ExplanationDto {
  const trace = traceOf(id);
  const { decision, steps, recipientSteps, lines, wouldChangeIf } = explanation;
  const differences = differencesOf(record, explanation, trace);
  return {
    transaction: publicId('txn', id),
    trace,
    decidedBy: judgedBy,
    client: decision.mail.client,
    mail: { ...outcomeOf(decision.mail, trace), steps: steps.map(stepOf) },
    recipients: decision.recipients.map((decided, index) => ({
      recipient: { original: decided.original, final: decided.recipient },
      ...outcomeOf(decided, trace),
      ...(decided.route !== undefined && { route: decided.route }),
      ...(decided.reviewQueue !== undefined && { queue: decided.reviewQueue }),
      ...(decided.added !== undefined && {
        added: decided.added.map(({ address, route, by }) => ({ address, route, by })),
      }),
      wouldChangeIf: [...(wouldChangeIf[index] ?? [])],
      ...introducedOf(introduced.get(decided.by)),
      steps: (recipientSteps[index] ?? []).map(stepOf),
    })),
    text: [
      ...lines,
      ...afterthoughts(explanation, introduced),
      ...mailAuthLines(record.authentication),
      ...conclusion(differences),
    ],
    same: differences.length === 0,
    differences,
  };
}

function afterthoughts(
  { decision, wouldChangeIf }: Explanation,
  introduced: Recomputed['introduced'],
): readonly string[] {
  const changes = decision.recipients.flatMap(({ original }, index) =>
    (wouldChangeIf[index] ?? []).map((text) => `${original}: would be decided otherwise if ${text}`),
  );
  const written = [...introduced].map(
    ([id, { revision, author, at }]) => `${id} reads so since revision ${revision} by ${author}, ${at.slice(0, 10)}`,
  );
  return [...changes, ...written];
}

function introducedOf(introduced: Introduced | undefined): { introduced?: Introduced } {
  return introduced === undefined ? {} : { introduced };
}

function outcomeOf(decision: Decision, trace: string): Pick<Fields<ExplainedRecipientDto>, 'verdict' | 'by' | 'reply'> {
  const reply = replyOf(decision, trace);
  return { verdict: decision.verdict, by: decision.by, ...(reply !== '' && { reply }) };
}

/** As the gateway sends it; empty for what is accepted. */
function replyOf({ reply }: Decision, trace: string): string {
  return reply === undefined ? '' : `${reply.code} ${reply.enhanced} ${reply.text} [${trace}]`;
}

const BETWEEN_RULES: Readonly<Record<string, string>> = {
  client: 'helo',
  senders: 'mail',
  rewriting: 'rcpt',
  relay: 'rcpt',
  recipients: 'rcpt',
  redirect: 'rcpt',
  class: 'rcpt',
  copies: 'routing',
  signing: 'routing',
};

const RESULTS = { yes: true, no: false, unknown: 'unknown', expired: 'expired', overridden: 'overridden' } as const;

/** One step in the words of the API. */
export function stepOf(step: Step): StepDto {
  const phase = BETWEEN_RULES[step.stage];
  return {
    phase: phase ?? step.stage,
    ...(phase !== undefined && { step: step.stage }),
    rule: step.id,
    result: RESULTS[step.result],
    ...(step.effect !== '' && { effect: step.effect }),
    ...(step.monitor && { monitor: true }),
    because: step.conditions.map(becauseOf),
  };
}

function becauseOf({ part, condition, fact, value, result, entry, list }: ConditionStep): BecauseDto {
  return {
    part,
    condition,
    fact,
    ...(value !== undefined && { value }),
    result: RESULTS[result],
    ...(list !== undefined && { in: list }),
    ...(entry !== undefined && { entry }),
  };
}

type Compared = readonly (readonly [field: string, recorded: string, recomputed: string])[];

function differencesOf(record: TransactionRecord, { decision }: Explanation, trace: string): Fields<DifferenceDto>[] {
  const whole: Compared = [['client', record.client, decision.mail.client]];
  const before = record.recipients.length === 0 ? comparedMail(record, decision.mail, trace) : [];
  return [
    ...differing([...whole, ...before]),
    ...differing([['added', addedText(recordedAdded(record)), addedText(decidedAdded(decision.recipients))]]),
    ...namedRecipients(record).flatMap((recorded, index) => {
      const decided = decision.recipients[index];
      if (decided === undefined) return [];
      return differing(comparedRecipient(recorded, decided, trace)).map((difference) => ({
        recipient: recorded.original,
        ...difference,
      }));
    }),
  ];
}

/** A transaction without recipients: what MAIL FROM was answered is all that was decided. */
function comparedMail(record: TransactionRecord, mail: Decision, trace: string): Compared {
  const answered = record.reason === 'sender-refused';
  return [
    ['by', record.by, mail.by],
    ...(answered ? [['reply', record.reply ?? '', replyOf(mail, trace)] as const] : []),
  ];
}

/** The reply to an accepted recipient is the gateway's own, not the policy's. */
function comparedRecipient(recorded: RecordedRecipient, decided: RecipientDecision, trace: string): Compared {
  const refused = isRefusal(recorded.verdict) || isRefusal(decided.verdict);
  return [
    ['verdict', recorded.verdict, decided.verdict],
    ['by', recorded.by, decided.by],
    ['final', recorded.address, decided.recipient],
    ['route', recorded.route ?? '', decided.route ?? ''],
    ['queue', recorded.reviewQueue ?? '', decided.reviewQueue ?? ''],
    ['header', changesText(recorded.headers), changesText(decided.headers)],
    ...(refused ? [['reply', recorded.reply, replyOf(decided, trace)] as const] : []),
  ];
}

function isRefusal(verdict: string): boolean {
  return verdict === 'reject' || verdict === 'defer';
}

/** Those that the client named: of the others only the rules know. */
export function namedRecipients({ recipients }: TransactionRecord): readonly RecordedRecipient[] {
  return recipients.filter(({ addedBy }) => addedBy === undefined);
}

type Added = NonNullable<RecipientDecision['added']>[number];

function recordedAdded({ recipients }: TransactionRecord): readonly Added[] {
  return recipients.flatMap(({ address, route = '', addedBy }) =>
    addedBy === undefined ? [] : [{ address, route, by: addedBy }],
  );
}

/** Each once, however many recipients lead to it. */
function decidedAdded(decisions: readonly RecipientDecision[]): readonly Added[] {
  const all = decisions.flatMap(({ verdict, added = [] }) => (verdict === 'accept' ? added : []));
  return all.filter(
    (one, index) => !all.slice(0, index).some(({ address, route }) => address === one.address && route === one.route),
  );
}

function addedText(added: readonly Added[]): string {
  return added.map(({ address, route, by }) => `${address} by route ${route} (${by})`).join(', ');
}

function changesText(headers: RecipientDecision['headers']): string {
  return (headers ?? [])
    .map(({ op, name, value }) => `${op} ${name}${value === undefined ? '' : `: ${value}`}`)
    .join(', ');
}

function differing(compared: Compared): Fields<DifferenceDto>[] {
  return compared.flatMap(([field, recorded, recomputed]) =>
    recorded === recomputed ? [] : [{ field, recorded, recomputed }],
  );
}

function conclusion(differences: readonly DifferenceDto[]): readonly string[] {
  if (differences.length === 0) return ['this is the decision that was recorded'];
  return differences.map(
    ({ recipient, field, recorded, recomputed }) =>
      `${recipient ?? 'transaction'}: ${field} is ${shown(recomputed)}, recorded was ${shown(recorded)}`,
  );
}

function shown(value: string): string {
  return value === '' ? 'none' : value;
}
