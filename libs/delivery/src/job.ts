/** A unit of work: recipients of one message that can share one transaction with a next hop. */
import type { QueuedMessage, QueuedRecipient } from './ports.js';
import type { RetryProfile } from './route.js';

export interface Job {
  readonly message: QueuedMessage;
  readonly recipients: readonly QueuedRecipient[];
  readonly route: { readonly name: string; readonly revision: number; readonly retry: RetryProfile };
  /** Share of the worker's memory, given back when the job ends. */
  heldBytes: number;
  /** Keys of the targets that were asked and did not decide. */
  readonly tried: Set<string>;
  /** Times the job was put on another connection because the first was stale; not an attempt. */
  moves: number;
}

/** RFC 5321 s4.5.3.1.8: servers must take a hundred. */
export const MAX_RECIPIENTS_PER_TRANSACTION = 100;
