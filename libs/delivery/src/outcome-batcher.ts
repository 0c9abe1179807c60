/**
 * Collects outcomes of attempts and commits them in groups: at most one `record` call at a time, started when the last
 * one is done, 500 outcomes wait, or 5 ms have passed. One timer per group, none per message.
 *
 * INVARIANT (nothing dropped): a group is given again, unchanged, until the queue took it, because `record` recognizes
 * what it has committed before; only what the queue refuses for good is given up, and then its lease brings it back.
 */
import type { MessageToStore, QueueStore, RecipientOutcome } from './ports.js';

const LINGER_MS = 5;
const FULL_OUTCOMES = 500;
const FIRST_PAUSE_MS = 50;
/** Short: mail is delivered meanwhile, and what a crash finds unrecorded is delivered twice. */
const LONGEST_PAUSE_MS = 500;

interface Group {
  readonly outcomes: RecipientOutcome[];
  readonly notices: MessageToStore[];
}

export class OutcomeBatcher {
  readonly #queue: Pick<QueueStore, 'record'>;
  readonly #warn: (message: string, error?: unknown) => void;
  #group: Group = { outcomes: [], notices: [] };
  #recording: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #inFlight = 0;
  #abandoned = false;
  #cutPause: (() => void) | undefined;

  constructor(queue: Pick<QueueStore, 'record'>, warn: (message: string, error?: unknown) => void) {
    this.#queue = queue;
    this.#warn = warn;
  }

  /** Outcomes given and not yet committed. */
  get pending(): number {
    return this.#group.outcomes.length + this.#inFlight;
  }

  /** A notice is committed together with the outcomes it comes with, or neither is. */
  add(outcomes: readonly RecipientOutcome[], notices: readonly MessageToStore[] = []): void {
    for (const outcome of outcomes) this.#group.outcomes.push(outcome);
    this.#group.notices.push(...notices);
    this.#schedule();
  }

  /** Resolves when everything given so far is committed, or when `abandon` was called. */
  async drain(): Promise<void> {
    while (!this.#abandoned && (this.#recording !== undefined || this.#group.outcomes.length > 0)) {
      this.#start();
      await this.#recording;
    }
  }

  /** Gives up on a queue that does not answer; the leases will bring the rows back. */
  abandon(): void {
    this.#abandoned = true;
    clearTimeout(this.#timer);
    this.#cutPause?.();
  }

  #schedule(): void {
    if (this.#recording !== undefined || this.#abandoned) return;
    if (this.#group.outcomes.length >= FULL_OUTCOMES) this.#start();
    else this.#timer ??= setTimeout(() => this.#start(), LINGER_MS);
  }

  #start(): void {
    if (this.#recording !== undefined || this.#group.outcomes.length === 0) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const group = this.#group;
    this.#group = { outcomes: [], notices: [] };
    this.#inFlight = group.outcomes.length;
    this.#recording = this.#record(group).finally(() => {
      this.#inFlight = 0;
      this.#recording = undefined;
      if (this.#group.outcomes.length > 0) this.#schedule();
    });
  }

  async #record(group: Group): Promise<void> {
    for (let pauseMs = FIRST_PAUSE_MS; !this.#abandoned; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
      try {
        await this.#queue.record(group.outcomes, group.notices);
        return;
      } catch (error) {
        this.#warn(`outcomes of ${group.outcomes.length} recipients cannot be recorded, trying again`, error);
        if (isFinal(error)) {
          await this.#recordOneByOne(group);
          return;
        }
        await this.#pause(pauseMs);
      }
    }
  }

  /** Something in the group can never be stored: the rest must not suffer for it. */
  async #recordOneByOne(group: Group): Promise<void> {
    const byMessage = new Map<string, RecipientOutcome[]>();
    for (const outcome of group.outcomes) {
      byMessage.set(outcome.messageId, [...(byMessage.get(outcome.messageId) ?? []), outcome]);
    }
    for (const [messageId, outcomes] of byMessage) {
      const own = group.notices.filter((notice) => notice.events.some((event) => event.transactionId === messageId));
      try {
        await this.#queue.record(outcomes, own);
      } catch (error) {
        this.#warn(`outcome of message ${messageId} cannot be recorded, it stays in the queue`, error);
      }
    }
  }

  #pause(pauseMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, pauseMs);
      this.#cutPause = () => {
        clearTimeout(timer);
        resolve();
      };
      if (this.#abandoned) this.#cutPause();
    });
  }
}

/** An operational failure says whether trying again can help; anything else is not known to be final. */
function isFinal(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'retryable' in error && error.retryable === false;
}
