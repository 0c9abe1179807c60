/**
 * Which notice, if any, an outcome is worth. RFC 3461 s5.2 (relaying), s6.2 (what NOTIFY means), RFC 5321 s6.1. Pure.
 *
 * A next hop that offers DSN was told what the sender wants and answers for what follows; one that does not gets the
 * success it was asked for reported by us, as `relayed`: nobody will hear more of it.
 */
import type { AttemptOutcome } from './attempt-outcome.js';
import type { QueuedRecipient } from './ports.js';

export type NoticeAction = 'failed' | 'delayed' | 'relayed' | 'delivered';

/** To whom the message went: where it stays, a host that reports by itself, one that does not, or nobody. */
export type Handover = 'final' | 'with-dsn' | 'without-dsn' | 'nowhere';

export interface NoticeSituation {
  readonly recipient: QueuedRecipient;
  readonly outcome: AttemptOutcome;
  readonly handover: Handover;
  /** Another attempt follows. */
  readonly retried: boolean;
  /** The message is old enough for the profile's delay notice. */
  readonly late: boolean;
}

export function noticeFor(situation: NoticeSituation): NoticeAction | undefined {
  const { recipient, outcome, retried } = situation;
  if (outcome.effect === 'delivered') return successNotice(recipient, situation.handover);
  if (!retried) return wants(recipient, 'FAILURE') ? 'failed' : undefined;
  return situation.late && recipient.delayNotified !== true && wants(recipient, 'DELAY') ? 'delayed' : undefined;
}

function successNotice(recipient: QueuedRecipient, handover: Handover): NoticeAction | undefined {
  if (recipient.notify?.includes('SUCCESS') !== true) return undefined;
  if (handover === 'final') return 'delivered';
  return handover === 'without-dsn' ? 'relayed' : undefined;
}

/** RFC 3461 s4.1: without NOTIFY failures are told, and delays if we like. */
function wants(recipient: QueuedRecipient, word: 'FAILURE' | 'DELAY'): boolean {
  return recipient.notify === undefined || recipient.notify.includes(word);
}
