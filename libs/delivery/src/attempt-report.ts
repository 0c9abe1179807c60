/**
 * What an attempt leaves behind: for each recipient the change of its queue row and the audit event, and the bounce when
 * recipients are given up. Decides nothing about hosts; `attempt-outcome.ts` judged the answers before.
 */
import type { AttemptRecord, AuditEvent } from '#audit';
import type { AttemptAnswer, AttemptOutcome } from './attempt-outcome.js';
import { MAX_HEADER_BYTES } from './bounce-header.js';
import { buildBounce } from './bounce.js';
import type { BouncedRecipient } from './bounce.js';
import type { Job } from './job.js';
import type { OutcomeBatcher } from './outcome-batcher.js';
import type { MessageToStore, NoticeRouting, QueuedRecipient, RecipientOutcome, RelayEnvironment } from './ports.js';
import { nextAttemptAtMs } from './retry-schedule.js';

/** Who was asked. Files have a path for a host; where no host could be chosen it is ''. */
export interface AttemptPlace {
  readonly host: string;
  readonly address?: string;
  readonly port?: number;
  readonly startedAtMs: number;
}

export interface AttemptResult {
  readonly recipient: QueuedRecipient;
  readonly stage: AttemptAnswer['stage'];
  readonly outcome: AttemptOutcome;
}

export class AttemptReporter {
  readonly #environment: RelayEnvironment;
  readonly #batcher: OutcomeBatcher;
  readonly #hostname: string;
  readonly #making = new Set<Promise<void>>();

  constructor(environment: RelayEnvironment, batcher: OutcomeBatcher, hostname: string) {
    this.#environment = environment;
    this.#batcher = batcher;
    this.#hostname = hostname;
  }

  /** The attempt is over for these recipients. */
  report(job: Job, place: AttemptPlace, results: readonly AttemptResult[]): void {
    const nowMs = this.#environment.clock.nowMs();
    const outcomes: RecipientOutcome[] = [];
    let bounced: BouncedRecipient[] | undefined;
    for (const result of results) {
      const next =
        result.outcome.effect === 'temporary' ? this.#nextAttemptAtMs(job, result.recipient, nowMs) : undefined;
      outcomes.push(this.#outcome(job, place, result, { nowMs, next }));
      if (result.outcome.effect !== 'delivered' && next === undefined) (bounced ??= []).push(toBounced(result, place));
    }
    if (bounced === undefined) this.#batcher.add(outcomes);
    else this.#track(this.#reportWithBounce(job, outcomes, bounced));
  }

  /** Resolves when every bounce being made is with the batcher. */
  async settled(): Promise<void> {
    await Promise.all(this.#making);
  }

  #track(making: Promise<void>): void {
    this.#making.add(making);
    void making.finally(() => this.#making.delete(making));
  }

  /** A host did not decide and the next one is asked at once: the audit knows, the queue row does not change. */
  reportUndecided(job: Job, place: AttemptPlace, results: readonly AttemptResult[]): void {
    const nowMs = this.#environment.clock.nowMs();
    this.#environment.appendEvents(
      results.map((result) =>
        this.#event(job, result, 'delivery.deferred', this.#record(job, place, result, { nowMs, next: nowMs })),
      ),
    );
  }

  #nextAttemptAtMs(job: Job, recipient: QueuedRecipient, nowMs: number): number | undefined {
    const { acceptedAtMs } = job.message;
    const situation = { attempts: recipient.attempts + 1, acceptedAtMs, nowMs };
    return nextAttemptAtMs(job.route.retry, situation, () => this.#environment.random());
  }

  #outcome(
    job: Job,
    place: AttemptPlace,
    result: AttemptResult,
    when: { nowMs: number; next: number | undefined },
  ): RecipientOutcome {
    const { recipient, outcome } = result;
    const data = this.#record(job, place, result, when);
    const ids = { recipientId: recipient.id, messageId: job.message.id };
    if (when.next !== undefined) {
      const event = this.#event(job, result, 'delivery.deferred', data);
      return { kind: 'retry', ...ids, nextAttemptAtMs: when.next, lastReply: outcome.text, event };
    }
    const kind =
      outcome.effect === 'delivered'
        ? 'delivery.succeeded'
        : outcome.effect === 'permanent'
          ? 'delivery.failed'
          : 'delivery.expired';
    return { kind: 'done', ...ids, event: this.#event(job, result, kind, data) };
  }

  #record(
    job: Job,
    place: AttemptPlace,
    result: AttemptResult,
    when: { nowMs: number; next: number | undefined },
  ): AttemptRecord {
    const { outcome } = result;
    return {
      attempt: result.recipient.attempts + 1,
      route: job.route.name,
      routeRevision: job.route.revision,
      host: place.host,
      ...(place.address === undefined ? {} : { address: place.address }),
      ...(place.port === undefined ? {} : { port: place.port }),
      stage: result.stage,
      reply: outcome.text,
      ...(outcome.code === undefined ? {} : { code: outcome.code }),
      ...(outcome.enhanced === undefined ? {} : { enhanced: outcome.enhanced }),
      startedAtMs: place.startedAtMs,
      tookMs: Math.max(0, when.nowMs - place.startedAtMs),
      ...(when.next === undefined ? {} : { nextAttemptAtMs: when.next }),
    };
  }

  #event(
    job: Job,
    result: AttemptResult,
    kind: 'delivery.succeeded' | 'delivery.deferred' | 'delivery.failed' | 'delivery.expired',
    data: AttemptRecord,
  ): AuditEvent {
    const { id, sender } = job.message;
    return {
      id: this.#environment.newId(),
      kind,
      transactionId: id,
      recipient: result.recipient.address,
      sender,
      data,
    };
  }

  async #reportWithBounce(
    job: Job,
    outcomes: readonly RecipientOutcome[],
    bounced: readonly BouncedRecipient[],
  ): Promise<void> {
    let notice: MessageToStore | undefined;
    try {
      notice = await this.#notice(job, bounced);
    } catch (error) {
      this.#suppress(job, bounced, 'the notice could not be made');
      this.#environment.warn(`bounce for message ${job.message.id} could not be made`, error);
    }
    this.#batcher.add(outcomes, notice);
  }

  async #notice(job: Job, bounced: readonly BouncedRecipient[]): Promise<MessageToStore | undefined> {
    const { message } = job;
    const routing = message.sender === '' ? undefined : this.#environment.routeNotice(message.sender);
    if (routing === undefined) {
      this.#suppress(job, bounced, message.sender === '' ? 'null sender' : 'the policy routes no mail to the sender');
      return undefined;
    }
    const noticeId = this.#environment.newId();
    const content = buildBounce({
      noticeId,
      messageId: message.id,
      hostname: this.#hostname,
      to: message.sender,
      acceptedAtMs: message.acceptedAtMs,
      nowMs: this.#environment.clock.nowMs(),
      recipients: bounced,
      head: await this.#head(job),
    });
    return this.#toStore(job, { noticeId, content, routing, bounced });
  }

  /** A content that cannot be read any more must not keep the sender from hearing about it. */
  async #head(job: Job): Promise<Uint8Array> {
    const { content } = job.message;
    if (content.kind === 'inline') return content.bytes;
    try {
      return await this.#environment.readHead(content, MAX_HEADER_BYTES);
    } catch (error) {
      this.#environment.warn(`header of message ${job.message.id} cannot be read for its bounce`, error);
      return new Uint8Array();
    }
  }

  #suppress(job: Job, bounced: readonly BouncedRecipient[], reason: string): void {
    const { id, sender } = job.message;
    const recipients = bounced.map(({ address }) => address);
    this.#environment.appendEvents([
      {
        id: this.#environment.newId(),
        kind: 'bounce.suppressed',
        transactionId: id,
        sender,
        data: { reason, recipients },
      },
    ]);
  }

  #toStore(
    job: Job,
    notice: { noticeId: string; content: Uint8Array; routing: NoticeRouting; bounced: readonly BouncedRecipient[] },
  ): MessageToStore {
    const { noticeId, content, routing } = notice;
    const { id, sender } = job.message;
    const recipient = { id: this.#environment.newId(), address: routing.address, route: routing.route };
    const recipients = notice.bounced.map(({ address }) => address);
    return {
      id: noticeId,
      sender: '',
      content: { kind: 'inline', bytes: content },
      sizeBytes: content.length,
      body8bit: false,
      policyRevision: routing.policyRevision,
      recipients: [recipient],
      leased: false,
      events: [
        this.#acceptedEvent(sender, recipient, notice),
        {
          id: this.#environment.newId(),
          kind: 'bounce.queued',
          transactionId: id,
          sender,
          data: { noticeId, to: sender, recipients },
        },
      ],
    };
  }

  /** The bounce is a transaction of its own: it appears in the audit like any other accepted message. */
  #acceptedEvent(
    to: string,
    recipient: { readonly id: string; readonly address: string },
    notice: { noticeId: string; content: Uint8Array; routing: NoticeRouting },
  ): AuditEvent {
    const { noticeId, content, routing } = notice;
    const reply = '250 2.0.0 Notice queued';
    return {
      id: this.#environment.newId(),
      kind: 'transaction.accepted',
      transactionId: noticeId,
      sender: '',
      recipient: recipient.address,
      data: {
        listener: 'internal',
        clientPort: 0,
        helo: this.#hostname,
        protocol: 'ESMTP',
        startedAtMs: this.#environment.clock.nowMs(),
        snapshot: routing.snapshot,
        client: 'none',
        facts: {},
        parameters: { sizeBytes: content.length },
        message: {
          sizeBytes: content.length,
          digest: this.#environment.sha256Hex(content),
          messageId: `<${noticeId}@${this.#hostname}>`,
          from: `MAILER-DAEMON@${this.#hostname}`,
          subject: 'Undelivered mail returned to sender',
        },
        recipients: [
          {
            id: recipient.id,
            original: to,
            address: recipient.address,
            verdict: 'accept',
            by: routing.by,
            reply,
            route: routing.route,
            facts: routing.facts,
          },
        ],
        reply,
        by: routing.by,
      },
    };
  }
}

function toBounced(result: AttemptResult, place: AttemptPlace): BouncedRecipient {
  const { outcome, recipient } = result;
  return {
    address: recipient.address,
    status: outcome.status,
    text: outcome.text,
    fromRemote: outcome.code !== undefined && result.stage !== 'file',
    ...(place.host === '' ? {} : { host: place.host }),
    expired: outcome.effect === 'temporary',
  };
}
