/** What the answers to the SMTP machine's questions are made with. */
import type { AuditEvent } from '#audit';
import type { LivePolicy } from '../policy/policy-holder.js';
import type { GreylistMemory } from '../greylist/greylist-memory.js';
import type { LimitGate } from '../limits/limit-gate.js';
import type { Logger } from '../log.js';
import type { MailAuth } from '../mail-auth/mail-auth.js';
import type { AcceptMessage } from './accept-message.js';
import type { BodyStore } from './body-store.js';
import type { Authenticator } from './authenticator.js';
import type { DnsFacts } from './dns-facts.js';
import type { MemoryBudget } from './memory-budget.js';
import type { TurnedAwayTally } from './turned-away.js';

export interface AnswerDependencies {
  readonly hostname: string;
  /** For content that is too large for the memory. */
  readonly bodies: BodyStore;
  readonly inlineContentBytes: number;
  readonly budget: MemoryBudget;
  readonly log: Logger;
  readonly dns: DnsFacts;
  readonly mailAuth: Pick<MailAuth, 'spf' | 'dmarc' | 'content'>;
  readonly authenticator: Authenticator;
  readonly limits: LimitGate;
  readonly greylist: Pick<GreylistMemory, 'recall'>;
  /** The policy in force, undefined before the first one was loaded. */
  readonly currentPolicy: () => LivePolicy | undefined;
  /** Whether the database answers: without audit there is no mail. */
  readonly canStore: () => boolean;
  /** Whether an operator wants no new mail here. */
  readonly isDraining: () => boolean;
  readonly appendAudit: (events: readonly AuditEvent[]) => void;
  readonly acceptMessage: AcceptMessage;
  readonly turnedAway: Pick<TurnedAwayTally, 'add'>;
}
