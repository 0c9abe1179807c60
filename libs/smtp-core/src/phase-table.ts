/**
 * Which command fits which moment: phase × verb → hand it on, or the reply it gets at once. RFC 5321 s4.1.4, s3.3;
 * RFC 3030 s2 (chunks); RFC 4954 s4 and RFC 3207 s4 (neither AUTH nor STARTTLS inside a transaction).
 *
 * Total by type: a cell left out does not compile. While an answer is awaited, TLS is begun, or content or a SASL
 * response is read, no command is read; those moments are no phases here. A refusing cell comes before the command's
 * own syntax. What an extension demands beyond its moment (offered? under TLS?) is asked where the verb is handled.
 */
import type { Verb } from './command.js';
import type { ReplyKey } from './reply-catalogue.js';

/**
 * `greeted`: no EHLO yet, or TLS has made it forgotten. `mail`: a transaction without an accepted recipient. `rcpt`:
 * with at least one. `chunks`: content has begun to come by BDAT. `spoiled`: a chunk was refused and more may be on
 * their way.
 */
export type Phase = 'greeted' | 'ready' | 'mail' | 'rcpt' | 'chunks' | 'spoiled';

export type Cell = 'handle' | ReplyKey;

const ALWAYS = {
  EHLO: 'handle',
  HELO: 'handle',
  RSET: 'handle',
  QUIT: 'handle',
  NOOP: 'noop-ok',
  VRFY: 'cannot-verify',
  HELP: 'help',
  EXPN: 'not-implemented',
} as const satisfies Partial<Record<Verb, Cell>>;

const IN_TRANSACTION = {
  ...ALWAYS,
  MAIL: 'transaction-started',
  STARTTLS: 'not-in-transaction',
  AUTH: 'not-in-transaction',
  XCLIENT: 'not-in-transaction',
} as const satisfies Partial<Record<Verb, Cell>>;

/** A refusing cell of BDAT is told when the octets of the chunk have been swallowed. */
export const PHASE_TABLE = {
  greeted: {
    ...ALWAYS,
    MAIL: 'need-helo',
    RCPT: 'need-helo',
    DATA: 'need-helo',
    BDAT: 'need-helo',
    STARTTLS: 'need-helo',
    AUTH: 'need-helo',
    XCLIENT: 'handle',
  },
  ready: {
    ...ALWAYS,
    MAIL: 'handle',
    RCPT: 'need-mail',
    DATA: 'need-mail',
    BDAT: 'need-mail',
    STARTTLS: 'handle',
    AUTH: 'handle',
    XCLIENT: 'handle',
  },
  mail: { ...IN_TRANSACTION, RCPT: 'handle', DATA: 'no-recipients', BDAT: 'no-recipients' },
  rcpt: { ...IN_TRANSACTION, RCPT: 'handle', DATA: 'handle', BDAT: 'handle' },
  chunks: { ...IN_TRANSACTION, RCPT: 'chunks-started', DATA: 'chunks-started', BDAT: 'handle' },
  spoiled: {
    ...IN_TRANSACTION,
    MAIL: 'need-reset',
    RCPT: 'need-reset',
    DATA: 'need-reset',
    BDAT: 'need-reset',
  },
} as const satisfies Record<Phase, Record<Verb, Cell>>;

/** Verbs that end a pipelined group: nothing may wait behind them. RFC 2920 s3.1; NOOP and VRFY are let pass. */
export const SYNC_POINTS: ReadonlySet<Verb> = new Set<Verb>(['EHLO', 'HELO', 'DATA', 'STARTTLS', 'AUTH', 'XCLIENT']);

/** Verbs that move no mail. */
export const IDLE_VERBS: ReadonlySet<Verb> = new Set<Verb>([
  'EHLO', 'HELO', 'RSET', 'NOOP', 'VRFY', 'HELP', 'AUTH', 'XCLIENT',
]); // prettier-ignore

/** Verbs that a session which demands TLS answers 530 in the clear. RFC 3207 s4. */
export const TLS_VERBS: ReadonlySet<Verb> = new Set<Verb>(['MAIL', 'RCPT', 'DATA', 'BDAT', 'AUTH', 'VRFY', 'EXPN']);
