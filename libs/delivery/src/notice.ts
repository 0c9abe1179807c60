/**
 * Delivery status notifications: a `multipart/report` of RFC 6522 and RFC 3464 with the story for people, the status for
 * programs and the header of the message, or the whole message where the sender asked for it (RET, RFC 3461 s4.3). Pure;
 * canonical CRLF, ASCII but for a returned message and a `To` that is not ASCII (RFC 6533).
 *
 * RFC 3834: says `Auto-Submitted`, is sent from the null sender, never answers one (the caller's duty, checked here).
 * Addresses that are not ASCII are printed in the ASCII form of RFC 6533 s3 (`utf-8` type, `\x{…}`).
 */
import { traceOf } from '#audit';
import { decodeXtext, mailDate, replaceControls } from '#smtp-core';
import { noticeSubject, noticeText } from './notice-text.js';
import type { NoticeWords, OwnWords } from './notice-text.js';
import type { NoticeAction } from './notice-wishes.js';
import { encodedWords, headerOf, needsQuoting, quotedPrintable } from './returned-header.js';

export interface NoticedRecipient {
  readonly address: string;
  /** ORCPT as the sender gave it. */
  readonly originalRecipient?: string;
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

export interface NoticeInput {
  readonly action: NoticeAction;
  /** Default: a report of RFC 3464. */
  readonly form?: 'multipart' | 'plain';
  /** The policy's words instead of ours. */
  readonly words?: OwnWords;
  readonly noticeId: string;
  /** Id of the message it is about. */
  readonly messageId: string;
  /** Our own name, as in the banner. */
  readonly hostname: string;
  /** Reverse path of that message: the notice's recipient. Never ''. */
  readonly to: string;
  readonly acceptedAtMs: number;
  readonly nowMs: number;
  /** Until when a delayed message is tried. */
  readonly retryUntilMs: number;
  /** ENVID as the sender gave it. */
  readonly envelopeId?: string;
  readonly recipients: readonly NoticedRecipient[];
  /** All of that message, or its first octets, of which the header is returned. */
  readonly returned: { readonly kind: 'header' | 'message'; readonly bytes: Uint8Array; readonly smtpUtf8: boolean };
}

export interface Notice {
  /** Not encoded. */
  readonly subject: string;
  readonly content: Uint8Array;
  readonly body8bit: boolean;
  /** Its own header is not ASCII. */
  readonly smtpUtf8: boolean;
}

const MAX_LISTED = 200;
const FOLD_AT = 76;
const NOT_ASCII = /[^\u0000-\u007f]/;
const CRLF = '\r\n';

export function buildNotice(input: NoticeInput): Notice {
  if (input.to === '') throw new Error('broken invariant: a notice never answers the null sender');
  const content = input.form === 'plain' ? plainContent(input) : reportContent(input);
  const body8bit = content.some((octet) => octet > 127);
  return { content, subject: subjectOf(input), body8bit, smtpUtf8: NOT_ASCII.test(input.to) };
}

function subjectOf(input: NoticeInput): string {
  return clean(noticeSubject(wordsOf(input), input.words));
}

/** The story and the header of the message as one text. */
function plainContent(input: NoticeInput): Buffer {
  const listed = input.recipients.slice(0, MAX_LISTED);
  const header = headerOf(input.returned.bytes).toString('utf8').split(CRLF).map(clean);
  const [type = '', ...rest] = textPart([...forPeople(input, listed), '----', ...header]);
  return Buffer.from([...messageHeader(input), type, ...rest, ''].join(CRLF));
}

function reportContent(input: NoticeInput): Buffer {
  const boundary = `=_${input.noticeId}`;
  const listed = input.recipients.slice(0, MAX_LISTED);
  const head = [
    ...messageHeader(input),
    'Content-Type: multipart/report; report-type=delivery-status;',
    `\tboundary="${boundary}"`,
    '',
    'This is a report in MIME format.',
    `--${boundary}`,
    ...textPart(forPeople(input, listed)),
    '',
    `--${boundary}`,
    'Content-Type: message/delivery-status',
    '',
    ...forPrograms(input, listed),
    '',
    `--${boundary}`,
  ].join(CRLF);
  const returned = returnedPart(input.returned);
  return Buffer.concat([
    Buffer.from(head + CRLF),
    returned,
    Buffer.from(`${endsLine(returned) ? '' : CRLF}--${boundary}--${CRLF}`),
  ]);
}

function wordsOf(input: NoticeInput): NoticeWords {
  const { action, hostname, returned, retryUntilMs } = input;
  return { action, gateway: ascii(hostname), retryUntil: mailDate(retryUntilMs), returned: returned.kind };
}

function messageHeader(input: NoticeInput): string[] {
  return [
    `Date: ${mailDate(input.nowMs)}`,
    `From: Mail Delivery System <MAILER-DAEMON@${ascii(input.hostname)}>`,
    `To: <${clean(input.to)}>`,
    `Subject: ${encodedWords(subjectOf(input))}`,
    `Message-ID: <${input.noticeId}@${ascii(input.hostname)}>`,
    'Auto-Submitted: auto-replied',
    'MIME-Version: 1.0',
  ];
}

function textPart(lines: readonly string[]): string[] {
  const text = lines.join(CRLF);
  if (!NOT_ASCII.test(text)) return ['Content-Type: text/plain; charset=us-ascii', '', ...lines];
  const quoted = quotedPrintable(Buffer.from(text));
  return ['Content-Type: text/plain; charset=utf-8', 'Content-Transfer-Encoding: quoted-printable', '', ...quoted];
}

function forPeople(input: NoticeInput, listed: readonly NoticedRecipient[]): string[] {
  const left = input.recipients.length - listed.length;
  const greeting = input.words?.text === undefined ? [`This is the mail gateway ${ascii(input.hostname)}.`, ''] : [];
  return [
    ...greeting,
    ...noticeText(wordsOf(input), input.words).map(clean),
    '',
    ...listed.flatMap((recipient) => [`<${clean(recipient.address)}>`, ...explain(recipient), '']),
    ...(left > 0 ? [`and ${String(left)} more recipients.`] : []),
  ];
}

function explain(recipient: NoticedRecipient): string[] {
  const why = recipient.expired ? ['    given up after repeated attempts; the last one ended with'] : [];
  const who = recipient.fromRemote && recipient.host !== undefined ? `${clean(recipient.host)} said: ` : '';
  return [...why, ...fold(`    ${who}${clean(recipient.text)}`, '    ')];
}

function forPrograms(input: NoticeInput, listed: readonly NoticedRecipient[]): string[] {
  const envelopeId = input.envelopeId === undefined ? undefined : decodeXtext(input.envelopeId);
  return [
    `Reporting-MTA: dns; ${ascii(input.hostname)}`,
    ...(envelopeId === undefined ? [] : [`Original-Envelope-Id: ${ascii(envelopeId)}`]),
    `X-Postern-Message: ${ascii(traceOf(input.messageId))}`,
    `Arrival-Date: ${mailDate(input.acceptedAtMs)}`,
    ...listed.flatMap((recipient) => ['', ...recipientFields(recipient, input)]),
  ];
}

function recipientFields(recipient: NoticedRecipient, { action, nowMs, retryUntilMs }: NoticeInput): string[] {
  const type = recipient.fromRemote ? 'smtp' : 'x-postern';
  const original = originalOf(recipient);
  return [
    ...(original === undefined ? [] : [`Original-Recipient: ${original}`]),
    `Final-Recipient: ${typedAddress(recipient.address)}`,
    `Action: ${action}`,
    // RFC 3463 s3.5: X.4.7, the delivery time expired.
    `Status: ${recipient.expired ? '4.4.7' : recipient.status}`,
    ...(recipient.fromRemote && recipient.host !== undefined ? [`Remote-MTA: dns; ${ascii(recipient.host)}`] : []),
    ...fold(`Diagnostic-Code: ${type}; ${ascii(recipient.text)}`, '    '),
    `Last-Attempt-Date: ${mailDate(nowMs)}`,
    ...(action === 'delayed' ? [`Will-Retry-Until: ${mailDate(retryUntilMs)}`] : []),
  ];
}

/** RFC 3464 s2.3.1: the type as given, the address out of its xtext. */
function originalOf({ originalRecipient }: NoticedRecipient): string | undefined {
  const [, type, address] = /^([A-Za-z0-9-]+);(.+)$/s.exec(originalRecipient ?? '') ?? [];
  if (type === undefined || address === undefined) return undefined;
  if (type.toLowerCase() === 'utf-8') return `utf-8; ${escapeUtf8(address)}`;
  const decoded = decodeXtext(address);
  return decoded === undefined ? undefined : `${type}; ${ascii(decoded)}`;
}

function typedAddress(address: string): string {
  return NOT_ASCII.test(address) ? `utf-8; ${escapeUtf8(address)}` : `rfc822; ${ascii(address)}`;
}

function escapeUtf8(address: string): string {
  const escaped = Array.from(address, (character) =>
    NOT_ASCII.test(character) ? `\\x{${(character.codePointAt(0) ?? 0).toString(16).toUpperCase()}}` : character,
  );
  return ascii(escaped.join(''));
}

function returnedPart({ kind, bytes, smtpUtf8 }: NoticeInput['returned']): Buffer {
  if (kind === 'message') {
    const encoding = bytes.some((octet) => octet > 127) ? '8bit' : '7bit';
    const type = smtpUtf8 ? 'message/global' : 'message/rfc822';
    const head = `Content-Type: ${type}${CRLF}Content-Transfer-Encoding: ${encoding}${CRLF}${CRLF}`;
    return Buffer.concat([Buffer.from(head), bytes]);
  }
  const header = headerOf(bytes);
  const quoted = needsQuoting(header);
  const lines = [
    `Content-Type: ${smtpUtf8 ? 'message/global-headers' : 'text/rfc822-headers'}`,
    ...(quoted ? ['Content-Transfer-Encoding: quoted-printable'] : []),
    '',
    ...(quoted ? quotedPrintable(header) : header.toString('latin1').split(CRLF)),
  ];
  return Buffer.from(lines.join(CRLF) + CRLF, 'latin1');
}

function endsLine(bytes: Buffer): boolean {
  return bytes.subarray(-2).equals(Buffer.from(CRLF));
}

/** INVARIANT (one line): what goes into a line cannot end it. */
function ascii(text: string): string {
  return text.replace(/[^\u0020-\u007e]/gu, '?');
}

/** As `ascii`, for places where UTF-8 may stand. */
function clean(text: string): string {
  return replaceControls(text).replace(/[\ud800-\udfff]/gu, '?');
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
