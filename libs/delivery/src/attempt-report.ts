/**
 * What an attempt leaves behind: for each recipient the change of its queue row and the audit event, and the notices
 * that are due. Decides nothing about hosts; `attempt-outcome.ts` judged the answers before.
 */
import type { AttemptRecord, AuditEvent } from '#audit';
import type { AttemptAnswer, AttemptOutcome } from './attempt-outcome.js';
import type { Job } from './job.js';
import type { NoticedRecipient } from './notice.js';
import { isSocket } from './next-hop.js';
import { NoticeMaker } from './notice-maker.js';
import { noticeFor } from './notice-wishes.js';
import type { Handover, NoticeAction } from './notice-wishes.js';
import type { OutcomeBatcher } from './outcome-batcher.js';
import type { AttemptTls, QueuedRecipient, RecipientOutcome, RelayEnvironment } from './ports.js';
import { nextAttemptAtMs } from './retry-schedule.js';

/** Who was asked. Files have a path for a host; where no host could be chosen it is ''. */
export interface AttemptPlace {
  readonly host: string;
  readonly address?: string;
  readonly port?: number;
  readonly startedAtMs: number;
  /** Absent where nothing was handed over. */
  readonly handover?: Handover;
  /** Absent where nobody asked for TLS. */
  readonly tls?: AttemptTls;
}

export interface AttemptResult {
  readonly recipient: QueuedRecipient;
  readonly stage: AttemptAnswer['stage'];
  readonly outcome: AttemptOutcome;
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };
type Notices = ReadonlyMap<NoticeAction | 'unwanted', NoticedRecipient[]>;

export class AttemptReporter {
  readonly #environment: RelayEnvironment;
  readonly #batcher: OutcomeBatcher;
  readonly #notices: NoticeMaker;
  readonly #making = new Set<Promise<void>>();

  constructor(environment: RelayEnvironment, batcher: OutcomeBatcher, hostname: string) {
    this.#environment = environment;
    this.#batcher = batcher;
    this.#notices = new NoticeMaker(environment, hostname);
  }

  /** The attempt is over for these recipients. */
  report(job: Job, place: AttemptPlace, results: readonly AttemptResult[]): void {
    const nowMs = this.#environment.clock.nowMs();
    const outcomes: RecipientOutcome[] = [];
    let notices: Map<NoticeAction | 'unwanted', NoticedRecipient[]> | undefined;
    for (const result of results) {
      const next =
        result.outcome.effect === 'temporary' ? this.#nextAttemptAtMs(job, result.recipient, nowMs) : undefined;
      const action = noticeOf(job, place, result, { nowMs, retried: next !== undefined });
      outcomes.push(this.#outcome(job, place, result, { nowMs, next, told: action === 'delayed' }));
      if (action === undefined) continue;
      notices ??= new Map();
      const told = toNoticed(result, place, action);
      const group = notices.get(action);
      if (group === undefined) notices.set(action, [told]);
      else group.push(told);
    }
    if (notices === undefined) this.#batcher.add(outcomes);
    else this.#track(this.#reportWithNotices(job, outcomes, notices));
  }

  /** Resolves when every notice being made is with the batcher. */
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
    when: { nowMs: number; next: number | undefined; told: boolean },
  ): RecipientOutcome {
    const { recipient, outcome } = result;
    const data = this.#record(job, place, result, when);
    const ids = { recipientId: recipient.id, messageId: job.message.id };
    if (when.next !== undefined) {
      const event = this.#event(job, result, 'delivery.deferred', data);
      const told = when.told ? { delayNotified: true as const } : {};
      return { kind: 'retry', ...ids, nextAttemptAtMs: when.next, lastReply: outcome.text, ...told, event };
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
    const record: Writable<AttemptRecord> = {
      attempt: result.recipient.attempts + 1,
      route: job.route.name,
      routeRevision: job.route.revision,
      host: place.host,
      stage: result.stage,
      reply: outcome.text,
      startedAtMs: place.startedAtMs,
      tookMs: Math.max(0, when.nowMs - place.startedAtMs),
    };
    const { signed, unsigned, sealed, unsealed } = job.message;
    if (signed !== undefined) record.signed = signed;
    if (unsigned !== undefined) record.unsigned = unsigned;
    if (sealed !== undefined) record.sealed = sealed;
    if (unsealed !== undefined) record.unsealed = unsealed;
    if (place.address !== undefined) record.address = place.address;
    if (place.port !== undefined) record.port = place.port;
    if (place.tls !== undefined) record.tls = place.tls;
    if (outcome.code !== undefined) record.code = outcome.code;
    if (outcome.enhanced !== undefined) record.enhanced = outcome.enhanced;
    if (when.next !== undefined) record.nextAttemptAtMs = when.next;
    return record;
  }

  #event(
    job: Job,
    result: AttemptResult,
    kind: 'delivery.succeeded' | 'delivery.deferred' | 'delivery.failed' | 'delivery.expired',
    data: AttemptRecord,
  ): AuditEvent {
    const { id, sender } = job.message;
    const { address } = result.recipient;
    return { id: this.#environment.newId(), kind, transactionId: id, recipient: address, sender, data };
  }

  async #reportWithNotices(job: Job, outcomes: readonly RecipientOutcome[], notices: Notices): Promise<void> {
    const made = await Promise.all(
      Array.from(notices, async ([action, recipients]) => {
        if (action !== 'unwanted') return this.#notices.make(job, action, recipients);
        this.#notices.suppress(job, recipients, 'the sender asked for no notice of failure');
        return undefined;
      }),
    );
    this.#batcher.add(
      outcomes,
      made.flatMap((notice) => notice ?? []),
    );
  }
}

/** The notice an outcome causes; `unwanted` for a failure that the sender does not want to hear of. */
function noticeOf(
  job: Job,
  place: AttemptPlace,
  { recipient, outcome }: AttemptResult,
  when: { readonly nowMs: number; readonly retried: boolean },
): NoticeAction | 'unwanted' | undefined {
  const { delayNoticeMs } = job.route.retry;
  const late = delayNoticeMs !== undefined && when.nowMs - job.message.acceptedAtMs >= delayNoticeMs;
  const handover = place.handover ?? 'nowhere';
  const action = noticeFor({ recipient, outcome, handover, retried: when.retried, late });
  const isFailure = outcome.effect !== 'delivered' && !when.retried;
  if (action === undefined) return isFailure ? 'unwanted' : undefined;
  // Failures of notices are told to the audit alone; what else would have been told to the null sender is nobody's loss.
  return job.message.sender === '' && !isFailure ? undefined : action;
}

function toNoticed(result: AttemptResult, place: AttemptPlace, action: NoticeAction | 'unwanted'): NoticedRecipient {
  const { outcome, recipient, stage } = result;
  const { originalRecipient } = recipient;
  return {
    address: recipient.address,
    ...(originalRecipient === undefined ? {} : { originalRecipient }),
    status: outcome.status,
    text: outcome.text,
    fromRemote: outcome.code !== undefined && stage !== 'file',
    // Paths of ours are nobody else's business.
    ...(place.host === '' || stage === 'file' || isSocket(place.host) ? {} : { host: place.host }),
    expired: action === 'failed' && outcome.effect === 'temporary',
  };
}
