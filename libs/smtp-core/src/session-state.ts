/**
 * What one session is about: what the client has told and proved, and how far its transaction has come.
 *
 * Plain data with an owner; what changes it, and what is said about it, is in `session-commands.ts`,
 * `session-answers.ts` and `session-content.ts`.
 */
import type { Command } from './command.js';
import { ContentIntake } from './content-intake.js';
import { DEFAULT_LIMITS } from './limits.js';
import type { SmtpLimits } from './limits.js';
import type { Phase } from './phase-table.js';
import type { SaslDialog } from './sasl-dialog.js';
import type { SessionFacts } from './session-demands.js';
import type { AuthFacts, SessionOptions, TlsFacts } from './session-io.js';
import { SessionTally } from './session-tally.js';

/** Thrown away whole at RSET, EHLO, TLS and the end of content; nobody edits it. */
export interface Transaction {
  /** Accepted ones. */
  readonly recipients: number;
  /** MAIL said SMTPUTF8. */
  readonly utf8: boolean;
  /** What whoever accepted MAIL calls it. */
  readonly trace: string | undefined;
}

export type Chunk = Extract<Command, { verb: 'BDAT' }>;

export class SessionState implements SessionFacts {
  readonly options: SessionOptions;
  readonly limits: SmtpLimits;
  readonly tally: SessionTally;
  readonly intake: ContentIntake;
  tls: TlsFacts | undefined;
  auth: AuthFacts | undefined;
  helo: string | undefined;
  protocol: 'SMTP' | 'ESMTP' = 'SMTP';
  transaction: Transaction | undefined;
  /** The exchange that AUTH began and no final reply has ended. */
  sasl: SaslDialog | undefined;
  /** The first chunk of a message, while `data` is asked for it. */
  firstChunk: Chunk | undefined;
  /** A chunk was refused, and chunks of the same message may still be on their way. */
  spoiled = false;
  /** The 220 to STARTTLS has been said, TLS is not there yet. */
  awaitingTls = false;
  earlyTalker = false;

  /** `keep` is given the octets of content. */
  constructor(options: SessionOptions, keep: (octets: Uint8Array) => void) {
    this.options = options;
    this.limits = options.limits === undefined ? DEFAULT_LIMITS : { ...DEFAULT_LIMITS, ...options.limits };
    this.tls = options.tls;
    this.tally = new SessionTally(this.limits);
    this.intake = new ContentIntake(this.limits, keep);
  }

  get phase(): Phase {
    if (this.spoiled) return 'spoiled';
    if (this.transaction === undefined) return this.helo === undefined ? 'greeted' : 'ready';
    if (this.intake.inChunks) return 'chunks';
    return this.transaction.recipients === 0 ? 'mail' : 'rcpt';
  }

  /** Everything the client has told us is as if it had not been said. RFC 3207 s4.2. The transaction has ended already. */
  forget(): void {
    this.auth = undefined;
    this.helo = undefined;
    this.protocol = 'SMTP';
    this.sasl = undefined;
    this.spoiled = false;
  }
}
