/**
 * What an answer of the next hop means for one recipient. RFC 5321 s4.2.1 (reply classes), s4.5.3.1.10 (552 at RCPT),
 * s6.1 (time-out after the final dot); RFC 3463 for the codes of faults.
 *
 * 2xx to the content delivers; 5xx is final; everything else, faults included, is tried again. A host that refuses the
 * whole session, with whatever code, only loses the session: another host or another time may do better.
 */
import type { ClientFault, ClientStage, Reply } from '#smtp-core';
import { replaceControls } from '#smtp-core';

/** The remote's answer, or why there was none. Files and names answer in the same shape. */
export type AttemptAnswer =
  | { readonly stage: AttemptStage; readonly reply: Reply }
  | { readonly stage: AttemptStage; readonly fault: AttemptFault };

export type AttemptStage = ClientStage | 'file' | 'dns' | 'policy';

/** As the client's, from wherever it came. */
export interface AttemptFault {
  readonly enhanced: string;
  readonly message: string;
  readonly progress: ClientFault['progress'];
  readonly reason?: ClientFault['reason'];
}

export interface AttemptOutcome {
  readonly effect: 'delivered' | 'temporary' | 'permanent';
  /** At most 512 octets, controls replaced. */
  readonly text: string;
  readonly code?: number;
  /** As the remote gave it, or as the fault chose it. */
  readonly enhanced?: string;
  /** Status of RFC 3464; differs from `enhanced` when the remote gave none. */
  readonly status: string;
  /** The message may have been accepted all the same. */
  readonly uncertain: boolean;
  /** Another host of the route may be asked at once. */
  readonly nextHost: boolean;
}

const MAX_TEXT_OCTETS = 512;
const SESSION_STAGES: ReadonlySet<AttemptStage> = new Set(['connect', 'banner', 'ehlo', 'tls', 'auth']);

export function outcomeOf(answer: AttemptAnswer, nextHostOn: readonly number[] = []): AttemptOutcome {
  if ('fault' in answer) return faultOutcome(answer.fault);
  const { reply } = answer;
  const effect = effectOf(answer.stage, reply);
  const digit = effect === 'delivered' ? '2' : effect === 'permanent' ? '5' : '4';
  const known = reply.enhanced?.startsWith(`${digit}.`) === true ? reply.enhanced : undefined;
  return {
    effect,
    text: replyText(reply),
    code: reply.code,
    ...(reply.enhanced === undefined ? {} : { enhanced: reply.enhanced }),
    status: known ?? `${digit}.0.0`,
    uncertain: false,
    nextHost: effect === 'temporary' || (effect === 'permanent' && nextHostOn.includes(reply.code)),
  };
}

function effectOf(stage: AttemptStage, reply: Reply): AttemptOutcome['effect'] {
  if (SESSION_STAGES.has(stage)) return 'temporary';
  if (reply.code >= 200 && reply.code < 300) return stage === 'content' || stage === 'file' ? 'delivered' : 'temporary';
  if (reply.code < 500) return 'temporary';
  return isTooManyRecipients(stage, reply) ? 'temporary' : 'permanent';
}

/** RFC 5321 s4.5.3.1.10: 452, or 552 from older servers; a code that says "mailbox full" says something else. */
export function isTooManyRecipients(stage: AttemptStage, reply: Reply): boolean {
  if (stage !== 'rcpt' || (reply.code !== 452 && reply.code !== 552)) return false;
  return reply.enhanced === undefined || reply.enhanced.endsWith('.5.3');
}

function faultOutcome(fault: AttemptFault): AttemptOutcome {
  const permanent = fault.enhanced.startsWith('5.');
  const uncertain = fault.progress === 'sent';
  return {
    effect: permanent ? 'permanent' : 'temporary',
    text: limitText(uncertain ? `${fault.message}; the message may have been delivered` : fault.message),
    enhanced: fault.enhanced,
    status: fault.enhanced,
    uncertain,
    nextHost: !permanent && !uncertain,
  };
}

/** A reply on one line: `550 5.1.1 text text`. */
export function replyText(reply: Reply): string {
  const [only] = reply.lines;
  const text = reply.lines.length === 1 && only !== undefined ? only : reply.lines.join(' ');
  return limitText(reply.enhanced === undefined ? `${reply.code} ${text}` : `${reply.code} ${reply.enhanced} ${text}`);
}

/** Controls replaced, whole characters, at most 512 octets of UTF-8. */
export function limitText(text: string): string {
  const clean = replaceControls(text);
  if (clean.length * 3 <= MAX_TEXT_OCTETS || Buffer.byteLength(clean) <= MAX_TEXT_OCTETS) return clean;
  const octets = Buffer.from(clean);
  let end = MAX_TEXT_OCTETS;
  while (end > 0 && ((octets[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return octets.toString('utf8', 0, end);
}
