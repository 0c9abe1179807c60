/**
 * Asks the shared memory of greylisting. Questions that come while one statement runs go with the next, together: nothing
 * is read or written one by one. A memory that is away or slow is no answer: the fact is unknown, and the rule defers.
 */
import { createHash } from 'node:crypto';
import type { GreylistQuestion, GreylistState, GreylistStore } from '#database';
import { GREYLIST_RETRY_WINDOW_MS, greylistNetwork, type GreylistTerms, type UnknownFact } from '#policy';
import type { Logger } from '../log.js';

const DIGEST_BYTES = 16;
const BATCH = 1_000;
/** Above this, the database can not follow: whoever comes then is told to come back anyway. */
const MOST_WAITING = 20_000;
const DEADLINE_MS = 3_000;

/** Who writes to whom. */
export interface Acquaintance {
  readonly ip: string;
  /** Empty for the null sender. */
  readonly sender: string;
  /** After rewriting. */
  readonly recipient: string;
}

export interface GreylistMemoryParts {
  readonly store: GreylistStore;
  readonly log: Logger;
  readonly deadlineMs?: number;
}

interface Waiting {
  readonly question: GreylistQuestion;
  readonly tell: (state: GreylistState | UnknownFact) => void;
}

export class GreylistMemory {
  readonly #parts: GreylistMemoryParts;
  #waiting: Waiting[] = [];
  #running = false;
  #away = false;

  constructor(parts: GreylistMemoryParts) {
    this.#parts = parts;
  }

  /** Never rejects. */
  recall(who: Acquaintance, { delayMs, rememberMs }: GreylistTerms): Promise<GreylistState | UnknownFact> {
    if (this.#waiting.length >= MOST_WAITING) return Promise.resolve({ unknown: 'too many ask at the same time' });
    const question = { key: keyOf(who), delayMs, rememberMs, retryWindowMs: GREYLIST_RETRY_WINDOW_MS };
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        // Whoever is gone is not asked about: the others may still be answered.
        this.#waiting = this.#waiting.filter((other) => other !== waiting);
        resolve({ unknown: 'the memory did not answer in time' });
      }, this.#parts.deadlineMs ?? DEADLINE_MS);
      const waiting: Waiting = {
        question,
        tell: (state) => {
          clearTimeout(timer);
          resolve(state);
        },
      };
      this.#waiting.push(waiting);
      if (!this.#running) void this.#run();
    });
  }

  async #run(): Promise<void> {
    this.#running = true;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, BATCH);
      try {
        const states = await this.#parts.store.recall(batch.map(({ question }) => question));
        this.#told(undefined);
        for (const [index, { tell }] of batch.entries()) tell(states[index] ?? { unknown: 'no answer' });
      } catch (error) {
        this.#told(error);
        for (const { tell } of batch) tell({ unknown: 'the memory can not be reached' });
      }
    }
    this.#running = false;
  }

  #told(error: unknown): void {
    const away = error !== undefined;
    if (away === this.#away) return;
    this.#away = away;
    const { log } = this.#parts;
    if (away) log.warn({ err: error }, 'greylist: the memory can not be reached, strangers are told to come back');
    else log.info('greylist: the memory answers again');
  }
}

/** Who it was is not kept: the database can say whether somebody is known, and not whom it knows. */
function keyOf({ ip, sender, recipient }: Acquaintance): Buffer {
  const text = [greylistNetwork(ip), sender.toLowerCase(), recipient.toLowerCase()].join('\0');
  return createHash('sha256').update(text).digest().subarray(0, DIGEST_BYTES);
}
