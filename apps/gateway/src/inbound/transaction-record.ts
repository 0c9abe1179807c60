/** Writes down a finished transaction: everything needed to explain it, and to decide it again. */
import type { AuditEvent, TransactionRecord } from '#audit';
import { newId } from '#database';
import { protocolName, type ProtocolName } from '#smtp-core';
import type { ServerSession } from '#smtp-net';
import type { InboundSession, InboundTransaction } from './inbound-session.js';

export interface TransactionEnd {
  readonly kind: 'transaction.accepted' | 'transaction.refused' | 'transaction.abandoned';
  /** Last reply as sent; absent when the client left before one was due. */
  readonly reply?: string;
  /** Rule that decided the whole, '' when none did. */
  readonly by: string;
  readonly reason?: string;
  readonly message?: TransactionRecord['message'];
}

/** As in the Received field: `ESMTPSA` is ESMTP under TLS after AUTH. */
export function protocolOf(session: ServerSession, { parameters }: InboundTransaction): ProtocolName {
  const { protocol, tls, auth } = session;
  return protocolName({ protocol, tls, auth, smtpUtf8: parameters.smtpUtf8 });
}

/**
 * The events of one finished transaction: one for the transaction, and where it had several recipients one for each,
 * so that every recipient can be found by its address.
 */
export function transactionEvents(
  session: ServerSession,
  inbound: InboundSession,
  transaction: InboundTransaction,
  end: TransactionEnd,
): AuditEvent[] {
  const recipients = transaction.recipients;
  const single = recipients.length === 1 ? recipients[0] : undefined;
  const common = {
    sessionId: inbound.id,
    transactionId: transaction.id,
    sender: transaction.sender,
    clientAddress: inbound.clientAddress,
  };
  const data: Writable<TransactionRecord> = {
    listener: inbound.listener,
    clientPort: session.client.port,
    helo: session.helo ?? '',
    protocol: protocolOf(session, transaction),
    startedAtMs: transaction.startedAtMs,
    snapshot: transaction.policy.recorded,
    client: transaction.decision.client,
    facts: transaction.facts,
    parameters: transaction.parameters,
    recipients,
    by: end.by,
  };
  if (transaction.refusedCommands.length > 0) data.refusedCommands = transaction.refusedCommands;
  if (transaction.authentication !== undefined) data.authentication = transaction.authentication;
  if (end.message !== undefined) data.message = end.message;
  if (end.reply !== undefined) data.reply = end.reply;
  if (end.reason !== undefined) data.reason = end.reason;
  const events: AuditEvent[] = [
    {
      id: newId(),
      kind: end.kind,
      ...common,
      ...(single !== undefined && { recipient: single.address }),
      data,
    },
  ];
  if (recipients.length > 1) {
    for (const recipient of recipients) {
      events.push({ id: newId(), kind: 'recipient.judged', ...common, recipient: recipient.address, data: recipient });
    }
  }
  return events;
}

/** The rule behind the outcome: of the first recipient that got mail, or else of the first refused one. */
export function decidingRule(transaction: InboundTransaction): string {
  const recipients = transaction.recipients;
  const decisive = recipients.find((recipient) => recipient.verdict === 'accept') ?? recipients[0];
  return decisive?.by ?? transaction.decision.by;
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };
