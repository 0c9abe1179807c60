/**
 * The non-delivery report: a `multipart/report` of RFC 6522 and RFC 3464 with the reasons for people, the status for
 * programs and the header of the message. Pure; the result is canonical CRLF, ASCII, with lines of at most 998 octets.
 *
 * RFC 3834: says `Auto-Submitted`, is sent from the null sender, never answers one (the caller's duty, checked here).
 * Known gaps: no RET, ENVID, ORCPT or delay notices yet; addresses that are not ASCII are shown with `?`.
 */
import { traceOf } from '#audit';
import { mailDate } from '#smtp-core';
import { headerOf, quotedPrintable, needsQuoting } from './bounce-header.js';

export interface BouncedRecipient {
  readonly address: string;
  /** RFC 3463. */
  readonly status: string;
  /** The remote's reply or our description, at most 512 octets. */
  readonly text: string;
  /** True when `text` is an SMTP reply of `host`. */
  readonly fromRemote: boolean;
  readonly host?: string;
  /** Given up after the last try, instead of refused for good. */
  readonly expired: boolean;
}

export interface BounceInput {
  readonly noticeId: string;
  /** Id of the message that failed. */
  readonly messageId: string;
  /** Our own name, as in the banner. */
  readonly hostname: string;
  /** Reverse path of the failed message: the bounce's recipient. Never ''. */
  readonly to: string;
  readonly acceptedAtMs: number;
  readonly nowMs: number;
  readonly recipients: readonly BouncedRecipient[];
  /** The first octets of the failed message. */
  readonly head: Uint8Array;
}

const MAX_LISTED = 200;
const FOLD_AT = 76;

export function buildBounce(input: BounceInput): Uint8Array {
  if (input.to === '') throw new Error('broken invariant: a bounce never answers the null sender');
  const boundary = `=_${input.noticeId}`;
  const listed = input.recipients.slice(0, MAX_LISTED);
  const header = headerOf(input.head);
  const quoted = needsQuoting(header);
  const lines = [
    ...messageHeader(input, boundary),
    '',
    'This is a report in MIME format.',
    `--${boundary}`,
    'Content-Type: text/plain; charset=us-ascii',
    '',
    ...forPeople(input, listed),
    '',
    `--${boundary}`,
    'Content-Type: message/delivery-status',
    '',
    ...forPrograms(input, listed),
    '',
    `--${boundary}`,
    'Content-Type: text/rfc822-headers',
    ...(quoted ? ['Content-Transfer-Encoding: quoted-printable'] : []),
    '',
    ...(quoted ? quotedPrintable(header) : header.toString('latin1').split('\r\n')),
    `--${boundary}--`,
    '',
  ];
  return Buffer.from(lines.join('\r\n'), 'latin1');
}

function messageHeader(input: BounceInput, boundary: string): string[] {
  return [
    `Date: ${mailDate(input.nowMs)}`,
    `From: Mail Delivery System <MAILER-DAEMON@${ascii(input.hostname)}>`,
    `To: <${ascii(input.to)}>`,
    'Subject: Undelivered mail returned to sender',
    `Message-ID: <${input.noticeId}@${ascii(input.hostname)}>`,
    'Auto-Submitted: auto-replied',
    'MIME-Version: 1.0',
    'Content-Type: multipart/report; report-type=delivery-status;',
    `\tboundary="${boundary}"`,
  ];
}

function forPeople(input: BounceInput, listed: readonly BouncedRecipient[]): string[] {
  const left = input.recipients.length - listed.length;
  return [
    `This is the mail gateway ${ascii(input.hostname)}.`,
    '',
    'Your message could not be delivered to the recipients below. It was not',
    'delivered to them and will not be tried again. The header of your message',
    'is attached.',
    '',
    ...listed.flatMap((recipient) => [`<${ascii(recipient.address)}>`, ...explain(recipient), '']),
    ...(left > 0 ? [`and ${String(left)} more recipients.`] : []),
  ];
}

function explain(recipient: BouncedRecipient): string[] {
  const why = recipient.expired ? ['    given up after repeated attempts; the last one ended with'] : [];
  const who = recipient.fromRemote && recipient.host !== undefined ? `${ascii(recipient.host)} said: ` : '';
  return [...why, ...fold(`    ${who}${ascii(recipient.text)}`, '    ')];
}

function forPrograms(input: BounceInput, listed: readonly BouncedRecipient[]): string[] {
  return [
    `Reporting-MTA: dns; ${ascii(input.hostname)}`,
    `X-Postern-Message: ${ascii(traceOf(input.messageId))}`,
    `Arrival-Date: ${mailDate(input.acceptedAtMs)}`,
    ...listed.flatMap((recipient) => ['', ...recipientFields(recipient, input.nowMs)]),
  ];
}

function recipientFields(recipient: BouncedRecipient, nowMs: number): string[] {
  const type = recipient.fromRemote ? 'smtp' : 'x-postern';
  return [
    `Final-Recipient: rfc822; ${ascii(recipient.address)}`,
    'Action: failed',
    // RFC 3463 s3.5: X.4.7, the delivery time expired.
    `Status: ${recipient.expired ? '4.4.7' : recipient.status}`,
    ...(recipient.fromRemote && recipient.host !== undefined ? [`Remote-MTA: dns; ${ascii(recipient.host)}`] : []),
    ...fold(`Diagnostic-Code: ${type}; ${ascii(recipient.text)}`, '    '),
    `Last-Attempt-Date: ${mailDate(nowMs)}`,
  ];
}

/** INVARIANT (one line): what goes into a line cannot end it. */
function ascii(text: string): string {
  return text.replace(/[^\u0020-\u007e]/gu, '?');
}

/** Breaks at spaces, so that a long reply stays readable; a word longer than a line stands alone. */
function fold(line: string, indent: string): string[] {
  const words = line.trimStart().split(' ');
  const lines: string[] = [];
  let current = line.slice(0, line.length - line.trimStart().length) + (words.shift() ?? '');
  for (const word of words) {
    if (current.length + 1 + word.length > FOLD_AT && current.trim() !== '') {
      lines.push(current);
      current = indent + word;
    } else current += ` ${word}`;
  }
  return [...lines, current];
}
