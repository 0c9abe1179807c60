/** Messages and events as the gateway makes them, for the specs of the stores. */
import type { AuditEvent, TransactionRecord } from '#audit';
import { newId } from '#database';
import type { MessageToStore, QueuedMessage, RecipientOutcome, RecipientWishes, SenderWishes } from '#delivery';

export interface MessageWishes {
  readonly id?: string;
  readonly sender?: string;
  readonly recipients?: readonly string[];
  readonly route?: string;
  readonly leased?: boolean;
  readonly bytes?: Uint8Array;
  readonly body8bit?: boolean;
  /** Parameters of MAIL, and of every RCPT. */
  readonly mail?: SenderWishes;
  readonly rcpt?: RecipientWishes;
  readonly sessionId?: string;
  readonly clientAddress?: string;
  readonly record?: Partial<TransactionRecord>;
}

export function recordOf(
  message: Pick<MessageToStore, 'recipients' | 'sizeBytes'>,
  wishes: Partial<TransactionRecord> = {},
): TransactionRecord {
  return {
    listener: 'local',
    clientPort: 50_000,
    helo: 'client.test',
    protocol: 'ESMTP',
    startedAtMs: Date.now(),
    snapshot: { policy: 'main', revision: 1, digest: 'sha256:00', lists: {} },
    client: 'none',
    facts: { ip: '192.0.2.7' },
    parameters: {},
    recipients: message.recipients.map(({ id, address, route }) => ({
      id,
      original: address,
      address,
      verdict: 'accept',
      by: 'routing/all',
      reply: '250 2.1.5 Recipient OK',
      route,
      facts: { recipient: address },
    })),
    reply: '250 2.0.0 Accepted',
    by: '',
    ...wishes,
  };
}

export function makeMessage(wishes: MessageWishes = {}): MessageToStore {
  const id = wishes.id ?? newId();
  const bytes = wishes.bytes ?? Buffer.from('Subject: hello\r\n\r\nworld\r\n');
  const sender = wishes.sender ?? 'ann@example.com';
  const recipients = (wishes.recipients ?? ['bob@example.net']).map((address) => ({
    id: newId(),
    address,
    route: wishes.route ?? 'capture',
    ...wishes.rcpt,
  }));
  const sizeBytes = bytes.byteLength;
  const base = {
    transactionId: id,
    sessionId: wishes.sessionId ?? newId(),
    sender,
    clientAddress: wishes.clientAddress ?? '192.0.2.7',
  };
  const record = recordOf({ recipients, sizeBytes }, wishes.record);
  const events: AuditEvent[] = [{ ...base, id: newId(), kind: 'transaction.accepted', data: record }];
  if (recipients.length > 1) {
    for (const recipient of record.recipients) {
      events.push({ ...base, id: newId(), kind: 'recipient.judged', recipient: recipient.address, data: recipient });
    }
  }
  return {
    id,
    sender,
    content: { kind: 'inline', bytes },
    sizeBytes,
    body8bit: wishes.body8bit ?? false,
    ...wishes.mail,
    policyRevision: 1,
    recipients,
    leased: wishes.leased ?? false,
    events,
  };
}

type AttemptKind = 'delivery.succeeded' | 'delivery.failed' | 'delivery.deferred' | 'delivery.expired';

export function attemptEvent(
  kind: AttemptKind,
  transactionId: string,
  recipient: string,
  reply = '250 2.0.0 OK',
): AuditEvent {
  return {
    id: newId(),
    kind,
    transactionId,
    recipient,
    data: {
      attempt: 1,
      route: 'capture',
      routeRevision: 1,
      host: 'mx.example.net',
      address: '192.0.2.25',
      port: 25,
      stage: 'content',
      reply,
      startedAtMs: Date.now(),
      tookMs: 3,
    },
  };
}

export function outcomesOf(message: Pick<QueuedMessage, 'id' | 'recipients'>): RecipientOutcome[] {
  return message.recipients.map((recipient) => ({
    kind: 'done',
    recipientId: recipient.id,
    messageId: message.id,
    event: attemptEvent('delivery.succeeded', message.id, recipient.address),
  }));
}

/** Polls until `condition` holds; fails after the deadline. */
export async function eventually(condition: () => boolean | Promise<boolean>, deadlineMs = 10_000): Promise<void> {
  const end = Date.now() + deadlineMs;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error('the condition did not come true in time');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
