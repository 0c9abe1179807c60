/** Meanings of the fields that several kinds of events share; `catalogue.ts` has the kinds. */
import type { AuditEvent, AuditEventKind } from './event.js';
import type { AttemptRecord } from './records.js';

export type FieldsOf<Data> = { readonly [Field in keyof Required<Data>]: string };
export type DataOf<Kind extends AuditEventKind> = Extract<AuditEvent, { readonly kind: Kind }>['data'];

export const TRANSACTION: FieldsOf<DataOf<'transaction.accepted'>> = {
  listener: 'listener of the policy that the client came to',
  clientPort: 'TCP port of the client',
  helo: 'name the client gave itself',
  protocol: '`SMTP`, `ESMTP`, `ESMTPS` (TLS), `ESMTPA` (AUTH), `ESMTPSA` (both), as in the Received field',
  startedAtMs: 'MAIL FROM, milliseconds since 1970',
  snapshot: 'policy, revision, digest and revisions of managed lists that judged',
  client: 'policy client that matched, or `none`',
  facts: 'facts shared by all recipients, as the evaluator saw them; `{ "unknown": why }` for a failed look-up',
  authentication:
    'evidence for SPF, DKIM, DMARC and ARC where they were asked for: result, domain, selector, record as published, and why',
  parameters: 'ESMTP parameters of MAIL FROM',
  message: 'size, SHA-256 digest, Message-ID, From and Subject of the content, once it was received',
  recipients:
    'each with id, address as given and after rewriting, verdict, deciding rule, reply, route and its own facts',
  refusedCommands:
    'commands that were refused before the policy was asked (syntax, too many recipients), with their replies',
  reply: 'last reply as sent; absent when the client left before',
  by: 'rule that decided the whole transaction, empty when none did',
  reason: 'why it ended without acceptance',
};

export const ATTEMPT: FieldsOf<AttemptRecord> = {
  attempt: 'number of the attempt, from 1',
  route: 'route of the policy',
  routeRevision: 'policy revision whose definition of the route was used',
  host: 'next hop by name; for files what was written',
  address: 'its IP address',
  port: 'its TCP port',
  stage:
    'stage that decided: `connect`, `banner`, `ehlo`, `tls`, `auth`, `mail`, `rcpt`, `data`, `content`, `file`, `dns`, `policy`',
  reply: 'the remote’s reply, control characters replaced, at most 512 octets; or the network’s fault',
  code: 'SMTP code of the reply',
  enhanced: 'enhanced status code of the reply',
  tls: 'where the route asks for TLS: version, cipher, whether the certificate is valid for the host, its SHA-256 fingerprint, and `why` not',
  signed: 'keys it left signed with (DKIM), `domain/selector`',
  unsigned: 'why it left without a signature that it was to have',
  sealed: 'key of the ARC seal it left with, `domain/selector`',
  unsealed: 'why it left without a seal that it was to have',
  startedAtMs: 'milliseconds since 1970',
  tookMs: 'milliseconds',
  nextAttemptAtMs: 'next attempt, for deferrals',
};

export const REVIEW: FieldsOf<DataOf<'review.discarded'>> = {
  queue: 'review queue',
  rule: 'rule that held it; overruled by a release',
  actor: 'who, or `expiry`',
  reason: 'why',
  revision: 'revision of the policy in force',
};

export const QUEUE_CHANGE: FieldsOf<DataOf<'queue.held'>> = {
  actor: 'who',
  reason: 'why',
  operation: 'the operation that did it to many, `opr_…`',
  before: 'state, address, route, attempts and next attempt before it',
  after: 'the same after it; absent when it is not in the queue any more',
};
