/**
 * Carries out what people decide about held mail, and what its review queue says when nobody came. The database says what
 * is due; whichever gateway leases it first does it, by the policy in force.
 */
import type { AuditEvent } from '#audit';
import { aboutMail, newId, type Database, type DueReview, type ReviewSettlement } from '#database';
import type { CompiledPolicy, RecipientDecision } from '#policy';
import type { LivePolicy } from '../policy/policy-holder.js';
import { findingsAbout, outgoingChanges } from '../relay/outgoing-changes.js';
import type { Spool } from '../relay/spooled-queue.js';
import type { Logger } from '../log.js';
import { judgeRelease } from './judge-release.js';

const POLL_MS = 5_000;
const BATCH = 20;
/** Another node may have the file. */
const ELSEWHERE_MS = 30_000;

export interface ReviewRunnerUses {
  readonly reviews: Database['reviews'];
  readonly transaction: Database['audit']['transaction'];
  readonly currentPolicy: () => LivePolicy | undefined;
  readonly spool: Spool;
  /** Our own name. */
  readonly hostname: string;
  /** There is something to deliver. */
  readonly wake: () => void;
  readonly log: Logger;
}

export interface TriedRelease {
  readonly released: boolean;
  readonly why?: string;
}

/** Who decides, and why. */
interface Word {
  readonly actor: string;
  readonly reason?: string;
}

export class ReviewRunner {
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #again = false;
  #stopped = false;

  constructor(private readonly use: ReviewRunnerUses) {}

  start(): void {
    this.#timer = setInterval(() => {
      this.hint();
    }, POLL_MS);
    this.#timer.unref();
    this.hint();
  }

  /** Somebody asked for something. */
  hint(): void {
    if (this.#stopped) return;
    this.#again = true;
    this.#running ??= this.#runAll().finally(() => {
      this.#running = undefined;
    });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#timer);
    await this.#running;
  }

  /** What a release would come to now; undefined when it is not held (any more). Changes nothing. */
  async tryRelease(id: string): Promise<TriedRelease | undefined> {
    const live = this.use.currentPolicy();
    const mail = await this.use.reviews.withContent(id);
    if (live === undefined || mail === undefined) return undefined;
    const { decision } = await judgeRelease(this.use, mail, live.snapshot);
    const { verdict, route } = decision;
    if (verdict === 'accept' && route !== undefined) return { released: true };
    return { released: false, why: objection(decision) };
  }

  async #runAll(): Promise<void> {
    while (this.#again && !this.#stopped) {
      this.#again = false;
      try {
        const due = await this.use.reviews.claimDue(BATCH);
        for (const mail of due) await this.#one(mail);
        this.#again ||= due.length === BATCH;
      } catch (error) {
        this.use.log.warn({ err: error }, 'reviews not carried out, trying again');
        return;
      }
    }
  }

  async #one(mail: DueReview): Promise<void> {
    try {
      await this.#carryOut(mail);
    } catch (error) {
      this.use.log.warn({ err: error, message: mail.messageId }, 'review not carried out here, trying again');
      await this.use.reviews.giveBack(mail, Date.now() + ELSEWHERE_MS);
    }
  }

  async #carryOut(mail: DueReview): Promise<void> {
    const live = this.use.currentPolicy();
    if (live === undefined) throw new Error('no policy is loaded');
    const { request } = mail;
    if (request === undefined) {
      if (mail.expiresAtMs > Date.now()) await this.use.reviews.giveBack(mail, mail.expiresAtMs);
      else await this.#expire(mail, live);
      return;
    }
    const word: Word = { actor: request.actor, ...(request.reason !== undefined && { reason: request.reason }) };
    switch (request.action) {
      case 'release':
        await this.#release(mail, live, word);
        return;
      case 'reject':
        await this.#return(mail, live, { word, reply: '550 5.7.1 Message refused after review' });
        return;
      case 'return':
        await this.#return(mail, live, { word, reply: '550 5.7.0 Message returned to its sender after review' });
        return;
      case 'discard':
        await this.#discard(mail, live, word);
    }
  }

  /** What the queue says in the policy in force; a queue that is gone returns its mail. */
  async #expire(mail: DueReview, live: LivePolicy): Promise<void> {
    const { reviewQueues } = live.snapshot.policy;
    const word: Word = { actor: 'expiry', reason: `review queue ${mail.queue} keeps mail no longer` };
    const onExpire = reviewQueues.get(mail.queue)?.onExpire ?? 'return-to-sender';
    if (onExpire === 'discard') {
      await this.#discard(mail, live, word);
    } else if (onExpire === 'return-to-sender' || !(await this.#release(mail, live, word))) {
      await this.#return(mail, live, { word, reply: '550 5.7.0 Message was held for review and not released in time' });
    }
  }

  /** False: the policy objects, and nothing was changed because nobody is there to decide again. */
  async #release(mail: DueReview, live: LivePolicy, word: Word): Promise<boolean> {
    const { decision, authentication } = await judgeRelease(this.use, mail, live.snapshot);
    if (decision.verdict !== 'accept' || decision.route === undefined) {
      if (word.actor === 'expiry') return false;
      await this.#keep(mail, live, { word, decision });
      return true;
    }
    const { recipient: address, route } = decision;
    const findings = findingsAbout(live.snapshot.policy, this.use.hostname, authentication);
    const headerChanges = outgoingChanges(decision, findings);
    const added = (decision.added ?? []).map((one) => ({ id: newId(), ...one }));
    const settlement: ReviewSettlement = {
      kind: 'queue',
      address,
      route,
      ...(headerChanges !== undefined && { headerChanges }),
      added,
    };
    await this.#settle(mail, settlement, {
      kind: 'review.released',
      data: { ...this.#end(mail, live, word), route, address, ...(added.length > 0 && { added }) },
    });
    return true;
  }

  async #keep(
    mail: DueReview,
    live: LivePolicy,
    { word, decision }: { readonly word: Word; readonly decision: RecipientDecision },
  ): Promise<void> {
    const { verdict, by, reviewQueue } = decision;
    const queue = reviewQueue ?? mail.queue;
    const expiresAtMs = Math.max(mail.expiresAtMs, Date.now() + expireMs(live.snapshot.policy, queue));
    const why = objection(decision);
    const data = { ...this.#end(mail, live, word), by, verdict };
    await this.#settle(mail, { kind: 'keep', why, queue, expiresAtMs }, { kind: 'review.kept', data });
  }

  async #return(
    mail: DueReview,
    live: LivePolicy,
    { word, reply }: { readonly word: Word; readonly reply: string },
  ): Promise<void> {
    const data = { ...this.#end(mail, live, word), reply };
    await this.#settle(mail, { kind: 'return', reply }, { kind: 'review.returned', data });
  }

  async #discard(mail: DueReview, live: LivePolicy, word: Word): Promise<void> {
    await this.#settle(mail, { kind: 'discard' }, { kind: 'review.discarded', data: this.#end(mail, live, word) });
    this.use.spool.readable(mail.content);
    this.use.spool.finished([mail.messageId]);
  }

  #end(mail: DueReview, live: LivePolicy, word: Word): Word & { queue: string; rule: string; revision: number } {
    return { queue: mail.queue, rule: mail.rule, ...word, revision: live.recorded.revision };
  }

  async #settle(mail: DueReview, settlement: ReviewSettlement, ended: ReviewEvent): Promise<void> {
    const event = { id: newId(), ...aboutMail(mail), ...ended };
    const changed = await this.use.reviews.settle(mail, settlement, event);
    if (!changed) this.use.log.warn({ message: mail.messageId }, 'review was carried out by another gateway');
    else if (settlement.kind === 'queue' || settlement.kind === 'return') this.use.wake();
  }
}

/** What the policy says instead. */
function objection({ verdict, by, unknown }: RecipientDecision): string {
  return `${verdict} by ${by}${unknown === undefined ? '' : ` (${unknown})`}`;
}

type Ended<Kind extends AuditEvent['kind']> = Extract<AuditEvent, { readonly kind: Kind }>;
type ReviewEvent = {
  [Kind in 'review.released' | 'review.returned' | 'review.discarded' | 'review.kept']: Pick<
    Ended<Kind>,
    'kind' | 'data'
  >;
}['review.released' | 'review.returned' | 'review.discarded' | 'review.kept'];

function expireMs(policy: CompiledPolicy, queue: string): number {
  return policy.reviewQueues.get(queue)?.expireMs ?? 0;
}
