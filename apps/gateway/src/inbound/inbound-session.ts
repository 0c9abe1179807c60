/** What the gateway remembers of one SMTP session, in the slot that the session keeps for it. */
import type { MailAuthResults, SpfCheck } from '#mail-auth';
import type { StructureScanner } from '#mime';
import type { ClassKeeper, Decision, Facts, RecipientDecision } from '#policy';
import type { RecordedRecipient, RecordedRefusal } from '#audit';
import type { ForwardPath, MailParams } from '#smtp-core';
import type { ServerSession } from '#smtp-net';
import type { Counted } from '../limits/limit-gate.js';
import type { CheckedContent } from '../mail-auth/checked-content.js';
import type { LivePolicy } from '../policy/policy-holder.js';
import type { ContentBuffer } from './content-buffer.js';
import type { LookUps } from './look-ups.js';

export interface InboundSession {
  /** UUIDv7. */
  readonly id: string;
  readonly listener: string;
  /** Textual address; an IPv4-mapped IPv6 address is its IPv4 address. */
  readonly clientAddress: string;
  /** Facts that are looked up while the session goes on. */
  readonly lookUps: LookUps;
  /** Facts of connect and helo. Replaced, never edited: recorded transactions keep theirs. */
  facts: Facts;
  transaction: InboundTransaction | undefined;
  /** Whether connect was refused: such a session has its own event. */
  refused: boolean;
  /** What rules have made the client wait so far. */
  waitedMs: number;
  /** The account that has signed in, or whose proof is awaited. `session.auth` says which. */
  granted: { readonly account: string; readonly identities: readonly string[] } | undefined;
  scramUnderWay: boolean;
  /** Why the sign-in under way was refused. */
  authRefusal: string | undefined;
  /** Commands of a transaction that were refused, by the policy or before it was asked. */
  refusals: number;
  /** Of those outside of transactions, the first ones as they were sent. */
  readonly refusedCommands: RecordedRefusal[];
}

export interface InboundTransaction {
  /** UUIDv7: also the message's id and, in its public form, the trace in every reply. */
  readonly id: string;
  readonly trace: string;
  readonly startedAtMs: number;
  /** Pinned at MAIL: judges this transaction to its end. */
  readonly policy: LivePolicy;
  readonly sender: string;
  readonly parameters: MailParams;
  /** Those of the content join them when it is judged. Replaced, never edited. */
  facts: Facts;
  /** What connect, helo and mail say together. */
  readonly decision: Decision;
  readonly recipients: RecordedRecipient[];
  /** What the policy said of each of them, in the same order. */
  readonly decisions: RecipientDecision[];
  /** Which class of recipients is served, where the policy keeps classes apart. */
  classes: ClassKeeper | undefined;
  /** Commands that never came to be judged, the first ones as they were sent. */
  readonly refusedCommands: RecordedRefusal[];
  /** Forward paths that got 250, as given. */
  readonly accepted: ForwardPath[];
  content: ContentBuffer | undefined;
  /** Begun at MAIL where somebody asks for it. */
  readonly spf: Promise<SpfCheck> | undefined;
  /** What was found out about who sent it, as far as it is known. */
  authentication: MailAuthResults | undefined;
  /** Present while content comes in whose signatures are wanted. */
  signatures: CheckedContent | undefined;
  /** Present while content comes in that message rules will judge. */
  scanner: StructureScanner | undefined;
}

export function stateOf(session: ServerSession): InboundSession {
  return session.state as InboundSession;
}

/** The transaction, to whom counts it. */
export function countedOf({ policy, facts, decision }: InboundTransaction): Counted {
  return { snapshot: policy.snapshot, facts, decision };
}

export function transactionOf(session: ServerSession): InboundTransaction {
  const transaction = stateOf(session).transaction;
  if (transaction === undefined) throw new Error('the machine asked about a transaction that was never begun');
  return transaction;
}
