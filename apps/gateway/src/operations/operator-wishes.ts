/**
 * What operators want of this gateway, as the database says it: suspended destinations, a drain, mail given back from
 * memory, answers. Told at once by notifications; a look every few seconds finds what was not heard.
 */
import type { Database, GatewayQuestion } from '#database';
import type { Logger } from '../log.js';
import type { RelayRunner } from '../relay/relay-runner.js';
import type { ReviewRunner } from '../reviews/review-runner.js';
import { answerResolve, type ResolveUses } from './answer-resolve.js';
import type { Drain } from './drain.js';
import type { SuspendedDestinations } from './suspended-destinations.js';

const LOOK_MS = 5_000;
const CHANNELS = ['destination_changed', 'gateway_drain', 'queue_recall', 'queue_changed', 'gateway_question'] as const;

export interface OperatorWishesUses {
  readonly database: Pick<Database, 'drains' | 'questions' | 'notifications'>;
  readonly relay: Pick<RelayRunner, 'claimFromQueue' | 'recall' | 'recallSuspended' | 'report' | 'wake'>;
  readonly reviews: Pick<ReviewRunner, 'tryRelease'>;
  readonly suspended: SuspendedDestinations;
  readonly drain: Drain;
  readonly currentPolicy: ResolveUses['currentPolicy'];
  readonly nodeName: string;
  readonly log: Logger;
}

export class OperatorWishes {
  #timer: NodeJS.Timeout | undefined;
  #stopListening: (() => void) | undefined;
  #looking: Promise<void> | undefined;
  #again = false;
  #drainChanged: () => void = () => undefined;

  constructor(private readonly use: OperatorWishesUses) {}

  onDrainChanged(listener: () => void): void {
    this.#drainChanged = listener;
  }

  /** Resolves when everything that is to be known before mail flows is known. */
  async start(): Promise<void> {
    await this.#look();
    this.#stopListening = await this.use.database.notifications.listen(CHANNELS, (channel, payload) => {
      this.#hear(channel, payload);
    });
    this.#timer = setInterval(() => {
      this.#lookSoon();
    }, LOOK_MS);
    this.#timer.unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#stopListening?.();
    this.#again = false;
    await this.#looking;
  }

  #hear(channel: string, payload: string): void {
    switch (channel) {
      case 'queue_changed':
        this.use.relay.wake();
        return;
      case 'queue_recall':
        this.use.relay.recall(new Set(payload.split(',')));
        return;
      case 'gateway_question':
        this.#answer(payload).catch((error: unknown) => {
          this.use.log.warn({ err: error }, 'a question of the admin API was not answered');
        });
        return;
      default:
        this.#lookSoon();
    }
  }

  #lookSoon(): void {
    this.#again = true;
    this.#looking ??= this.#lookAll().finally(() => {
      this.#looking = undefined;
    });
  }

  async #lookAll(): Promise<void> {
    while (this.#again) {
      this.#again = false;
      try {
        await this.#look();
      } catch (error) {
        this.use.log.warn({ err: error }, 'what operators want is not known, trying again');
      }
    }
  }

  async #look(): Promise<void> {
    const { database, relay, suspended, drain, nodeName, log } = this.use;
    if (await suspended.refresh()) {
      relay.recallSuspended();
      relay.wake();
    }
    const wanted = await database.drains.isDrained(nodeName);
    if (!drain.set(wanted)) return;
    relay.claimFromQueue(!wanted);
    log.info(wanted ? 'drained: no new sessions, nothing more from the queue' : 'resumed: takes sessions again');
    this.#drainChanged();
  }

  #answerTo(question: GatewayQuestion): Promise<object | undefined> {
    const { relay, reviews, suspended, currentPolicy } = this.use;
    if (question.kind === 'release') return reviews.tryRelease(question.id);
    return answerResolve(question, {
      currentPolicy,
      report: (route, domain) => relay.report(route, domain),
      isSuspended: (domain) => suspended.has(domain),
    });
  }

  async #answer(id: string): Promise<void> {
    const { database, nodeName } = this.use;
    const question = await database.questions.read(id);
    if (question === undefined) return;
    const answer = await this.#answerTo(question);
    if (answer !== undefined) await database.questions.answer(id, nodeName, answer);
  }
}
