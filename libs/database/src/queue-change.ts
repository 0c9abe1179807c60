/**
 * What an operator's change makes of one recipient in the queue. Pure: the row before, the change, and what is suspended;
 * out comes the row after, or why not. RFC 3461 s4.2 (ORCPT of a recipient that is sent elsewhere).
 */
import type { RecordedPlace } from '#audit';
import { rowState, type QueueRow } from './queue-rows.js';

export type QueueChange =
  /** Due now. */
  | { readonly kind: 'retry' }
  | { readonly kind: 'hold' }
  | { readonly kind: 'release' }
  | { readonly kind: 'reroute'; readonly route: string }
  | { readonly kind: 'redirect'; readonly address: string; readonly route: string }
  /** Given up now, its sender told as the policy and the sender's own wish say. */
  | { readonly kind: 'expire' }
  /** Gone, nobody told. */
  | { readonly kind: 'drop' };

export type QueueAction = QueueChange['kind'];

export const CHANGE_EVENTS = {
  retry: 'queue.retried',
  hold: 'queue.held',
  release: 'queue.released',
  reroute: 'queue.rerouted',
  redirect: 'queue.redirected',
  expire: 'queue.expired',
  drop: 'queue.dropped',
} as const;

/** What of a row a change may touch. */
export type ChangeableRow = Pick<
  QueueRow,
  | 'state'
  | 'owner'
  | 'address'
  | 'route'
  | 'attempts'
  | 'takeovers'
  | 'next_attempt_at'
  | 'refusal'
  | 'original_recipient'
  | 'hold'
  | 'suspended'
  | 'review_queue'
>;

export interface ChangeSituation {
  readonly now: Date;
  readonly actor: string;
  readonly reason?: string;
  readonly isSuspended: (domain: string) => boolean;
}

export type ChangedRow =
  /** `row` undefined: it goes. */
  | { readonly kind: 'changed'; readonly row: ChangeableRow | undefined }
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'refused'; readonly why: string };

/** Of a recipient that nobody leases. */
export function changedRow(row: ChangeableRow, change: QueueChange, situation: ChangeSituation): ChangedRow {
  if (row.review_queue !== null) {
    return refused(`it is held for review in \`${row.review_queue}\`: decide there (release, reject, return, discard)`);
  }
  if (change.kind === 'drop') return { kind: 'changed', row: undefined };
  if (row.refusal !== null) return refused('it has been given up already, its sender is about to be told');
  switch (change.kind) {
    case 'retry':
      return retried(row, situation);
    case 'hold':
      return held(row, situation);
    case 'release':
      return row.state === 'held' ? changed(due(row, situation)) : retried(row, situation);
    case 'reroute':
      return change.route === row.route
        ? { kind: 'unchanged' }
        : changed(moved({ ...row, route: change.route }, situation));
    case 'redirect':
      return redirected(row, change, situation);
    case 'expire':
      return changed({ ...due(row, situation), state: 'queued', takeovers: 0, refusal: GIVEN_UP });
  }
}

/** RFC 3463: X.4.7, delivery time expired. */
const GIVEN_UP = '450 4.4.7 Delivery given up by an operator before its time';

function refused(why: string): ChangedRow {
  return { kind: 'refused', why };
}

function changed(row: ChangeableRow): ChangedRow {
  return { kind: 'changed', row };
}

function retried(row: ChangeableRow, situation: ChangeSituation): ChangedRow {
  if (row.state === 'held') return refused('it is held by an operator: release it');
  if (row.suspended) return refused(`mail to \`${domainOf(row.address)}\` is suspended: resume the destination`);
  if (row.state === 'queued' && row.next_attempt_at <= situation.now) return { kind: 'unchanged' };
  return changed(due(row, situation));
}

function held(row: ChangeableRow, { actor, reason, now }: ChangeSituation): ChangedRow {
  if (row.state === 'held') return { kind: 'unchanged' };
  const hold = { actor, atMs: now.getTime(), ...(reason === undefined ? {} : { reason }) };
  return changed({ ...row, state: 'held', hold });
}

function redirected(
  row: ChangeableRow,
  { address, route }: { readonly address: string; readonly route: string },
  situation: ChangeSituation,
): ChangedRow {
  if (address === row.address && route === row.route) return { kind: 'unchanged' };
  const original = row.original_recipient ?? orcptOf(row.address);
  return changed(moved({ ...row, address, route, original_recipient: original }, situation));
}

/** It goes elsewhere now; what is held stays held, and what was set aside gets another chance. */
function moved(row: ChangeableRow, situation: ChangeSituation): ChangeableRow {
  return row.state === 'held' ? row : due(row, situation);
}

function due(row: ChangeableRow, { now, isSuspended }: ChangeSituation): ChangeableRow {
  const suspended = isSuspended(domainOf(row.address));
  const state = suspended ? 'suspended' : 'queued';
  return { ...row, state, suspended, hold: null, takeovers: 0, next_attempt_at: now };
}

export function domainOf(address: string): string {
  return address.slice(address.lastIndexOf('@') + 1).toLowerCase();
}

/** As a client would have given it; null for one that xtext cannot write. */
function orcptOf(address: string): string | null {
  if (/[^\x00-\x7f]/u.test(address)) return null;
  const xtext = address.replace(/[^!-*,-<>-~]/gu, (character) => `+${hex(character)}`);
  return `rfc822;${xtext}`;
}

function hex(character: string): string {
  return character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0');
}

/** As the audit and the API tell of it. */
export function placeOf(row: ChangeableRow): RecordedPlace {
  return {
    state: row.refusal === null ? rowState(row) : 'expiring',
    address: row.address,
    route: row.route,
    attempts: row.attempts,
    nextAttemptAtMs: row.next_attempt_at.getTime(),
  };
}
