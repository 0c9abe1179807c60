/**
 * Which command fits which moment: phase × verb → hand it on, or the reply it gets at once. RFC 5321 s4.1.4, s3.3.
 *
 * Total by type: a cell left out does not compile. While an answer is awaited or content is read no command is read,
 * so those moments are no phases here. A refusing cell comes before the command's own syntax.
 */
import type { Verb } from './command.js';
import type { ReplyKey } from './reply-catalogue.js';

/** `mail`: a transaction without an accepted recipient. `rcpt`: with at least one. */
export type Phase = 'greeted' | 'ready' | 'mail' | 'rcpt';

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
  // Known, so that what follows them is never taken for commands; offered to nobody.
  STARTTLS: 'not-implemented',
  AUTH: 'not-implemented',
  BDAT: 'handle',
} as const satisfies Partial<Record<Verb, Cell>>;

export const PHASE_TABLE = {
  greeted: { ...ALWAYS, MAIL: 'need-helo', RCPT: 'need-helo', DATA: 'need-helo' },
  ready: { ...ALWAYS, MAIL: 'handle', RCPT: 'need-mail', DATA: 'need-mail' },
  mail: { ...ALWAYS, MAIL: 'transaction-started', RCPT: 'handle', DATA: 'no-recipients' },
  rcpt: { ...ALWAYS, MAIL: 'transaction-started', RCPT: 'handle', DATA: 'handle' },
} as const satisfies Record<Phase, Record<Verb, Cell>>;

/** Verbs that end a pipelined group: nothing may wait behind them. RFC 2920 s3.1; NOOP and VRFY are let pass. */
export const SYNC_POINTS: ReadonlySet<Verb> = new Set<Verb>(['EHLO', 'HELO', 'DATA', 'STARTTLS', 'AUTH']);

/** Verbs that move no mail. */
export const IDLE_VERBS: ReadonlySet<Verb> = new Set<Verb>(['EHLO', 'HELO', 'RSET', 'NOOP', 'VRFY', 'HELP']);
