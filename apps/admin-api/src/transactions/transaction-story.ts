import { publicId, traceOf, type AttemptRecord, type RecordedRecipient } from '#audit';
import type { StoredEvent, TransactionStory, TransactionSummary } from '#database';
import type { Fields } from '../http/fields.js';
import type { AttemptDto, RecipientDto } from './recipient.dto.js';
import type { SessionDto, TransactionDto, TransactionSummaryDto } from './transaction.dto.js';

/** What the store tells, in the words of the API: public ids, times as text. */
export function summaryOf(found: TransactionSummary): TransactionSummaryDto {
  const { record } = found;
  return {
    id: publicId('txn', found.id),
    trace: traceOf(found.id),
    at: found.at.toISOString(),
    verdict: found.verdict,
    by: record.by,
    sender: found.sender ?? '',
    recipients: record.recipients.map((recipient) => recipient.address),
    ...(found.clientAddress !== undefined && { ip: found.clientAddress }),
    client: record.client,
    listener: record.listener,
    revision: record.snapshot.revision,
    ...(record.reply !== undefined && { reply: record.reply }),
    ...(record.reason !== undefined && { reason: record.reason }),
    ...(record.message?.messageId !== undefined && { messageId: record.message.messageId }),
    ...(record.message?.subject !== undefined && { subject: record.message.subject }),
    ...(record.message !== undefined && { sizeBytes: record.message.sizeBytes }),
  };
}

export function storyOf(story: TransactionStory): TransactionDto {
  const { record } = story;
  return {
    id: publicId('txn', story.id),
    trace: traceOf(story.id),
    at: story.at.toISOString(),
    startedAt: timeText(record.startedAtMs),
    verdict: story.verdict,
    ...(record.reply !== undefined && { reply: record.reply }),
    ...(record.reason !== undefined && { reason: record.reason }),
    session: sessionOf(story),
    envelope: { sender: story.sender ?? '', ...record.parameters },
    ...(record.message !== undefined && { message: record.message }),
    decision: { ...record.snapshot, client: record.client, by: record.by, facts: record.facts },
    ...(record.authentication !== undefined && { authentication: record.authentication }),
    recipients: recipientsOf(story),
    ...(story.probableDuplicateOf !== undefined && { probableDuplicateOf: publicId('txn', story.probableDuplicateOf) }),
    ...(story.resentAs !== undefined && { resentAs: story.resentAs.map((id) => publicId('txn', id)) }),
    events: story.events.map((event) => ({
      id: publicId('evt', event.id),
      at: event.at.toISOString(),
      kind: event.kind,
      ...(BY_PEOPLE.test(event.kind) && { data: { ...event.data } }),
    })),
  };
}

/** What people did to it: who, why, before and after. */
const BY_PEOPLE = /^(?:queue|review)\./u;

function sessionOf(story: TransactionStory): SessionDto {
  const { record, session } = story;
  const known: Fields<SessionDto> = {
    ...(story.sessionId !== undefined && { id: publicId('ses', story.sessionId) }),
    listener: record.listener,
    ...(story.clientAddress !== undefined && { ip: story.clientAddress }),
    port: record.clientPort,
    helo: record.helo,
    protocol: record.protocol,
  };
  if (session?.kind !== 'session.ended') return known;
  const { commands, errors, transactions, bytesIn, bytesOut, endReason } = session.data;
  return {
    ...known,
    endedAt: session.at.toISOString(),
    endReason,
    counters: { commands, errors, transactions, bytesIn, bytesOut },
  };
}

const OUTCOMES = {
  'delivery.succeeded': 'delivered',
  'delivery.deferred': 'deferred',
  'delivery.failed': 'failed',
  'delivery.expired': 'expired',
  'delivery.lease-lost': 'lease-lost',
  'delivery.uncertain': 'uncertain',
} as const;

type DeliveryEvent = Extract<StoredEvent, { readonly kind: keyof typeof OUTCOMES }>;

function isDelivery(event: StoredEvent): event is DeliveryEvent {
  return event.kind in OUTCOMES;
}

/** Attempts belong to a recipient by its id where the record has one, else by its address. */
function recipientsOf(story: TransactionStory): RecipientDto[] {
  const deliveries = story.attempts.filter(isDelivery);
  return story.recipients.map((recipient) => ({
    id: publicId('rcp', recipient.id),
    original: recipient.original,
    address: recipient.address,
    verdict: recipient.verdict,
    by: recipient.by,
    reply: recipient.reply,
    ...finalReply(story, recipient),
    ...(recipient.route !== undefined && { route: recipient.route }),
    ...(recipient.reviewQueue !== undefined && { queue: recipient.reviewQueue }),
    ...(recipient.instead !== undefined && { insteadOf: recipient.instead.reply ?? recipient.instead.verdict }),
    ...(recipient.addedBy !== undefined && { addedBy: recipient.addedBy }),
    ...(recipient.headers !== undefined && { header: [...recipient.headers] }),
    ...(recipient.signatures !== undefined && { signatures: recipient.signatures }),
    ...(recipient.seal !== undefined && { seal: recipient.seal }),
    facts: recipient.facts,
    state: recipient.state,
    ...(recipient.nextAttemptAt !== undefined && { nextAttemptAt: recipient.nextAttemptAt.toISOString() }),
    attempts: deliveries.filter((event) => isOf(event, recipient)).map((event) => attemptOf(event)),
  }));
}

/** The last word about a recipient that RCPT TO accepted: what the content was answered. */
function finalReply({ record }: TransactionStory, { verdict, addedBy }: RecordedRecipient): { finalReply?: string } {
  const isAnswered = record.message !== undefined || record.reason === 'content-refused' || record.reason === 'fault';
  const isRefused = verdict === 'reject' || verdict === 'defer';
  if (!isAnswered || isRefused || addedBy !== undefined || record.reply === undefined) return {};
  return { finalReply: record.reply };
}

function isOf(event: DeliveryEvent, { id, address }: { readonly id: string; readonly address: string }): boolean {
  if (event.recipientId !== undefined) return event.recipientId === id;
  return event.recipient?.toLowerCase() === address.toLowerCase();
}

function attemptOf(event: DeliveryEvent): AttemptDto {
  const { startedAtMs, nextAttemptAtMs, ...record }: AttemptRecord = event.data;
  return {
    ...record,
    at: timeText(startedAtMs),
    outcome: OUTCOMES[event.kind],
    ...(nextAttemptAtMs !== undefined && { nextAttemptAt: timeText(nextAttemptAtMs) }),
  };
}

function timeText(ms: number): string {
  return new Date(ms).toISOString();
}
