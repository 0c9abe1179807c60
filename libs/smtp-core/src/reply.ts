/**
 * A reply: code, enhanced code and lines; and its octets. RFC 5321 s4.2, RFC 2034, RFC 3463.
 *
 * Whatever text is put in, what comes out is well-formed reply lines: control characters and octets above ASCII are
 * replaced, long lines are broken, so that neither a policy nor a remote host can inject a line.
 * Reading replies is `reply-reader.ts`.
 */

/** An SMTP reply as a value. */
export interface Reply {
  /** 200 to 599. */
  readonly code: number;
  /** `class.subject.detail`, chosen where the reply is made; absent only where RFC 2034 wants none (banner, EHLO). */
  readonly enhanced?: string;
  /** At least one line, printable ASCII (UTF-8 only after SMTPUTF8), no CR or LF. */
  readonly lines: readonly string[];
}

/** Room for text on one line: 512 octets with code, separator, enhanced code and CRLF. RFC 5321 s4.5.3.1.5. */
const MAX_LINE_TEXT = 490;
const NOT_PRINTABLE = /[^\x20-\x7e]/;
const NOT_PRINTABLE_ALL = /[^\x20-\x7e]/g;

/** The octets of a reply as an ASCII string, CRLF at its end. The enhanced code is repeated on every line. */
export function encodeReply(reply: Reply): string {
  const mark = reply.enhanced === undefined ? '' : `${reply.enhanced} `;
  const only = reply.lines.length === 1 ? reply.lines[0] : undefined;
  if (only !== undefined && only.length <= MAX_LINE_TEXT && !NOT_PRINTABLE.test(only)) {
    return `${String(reply.code)} ${mark}${only}\r\n`;
  }
  // A challenge is one line, however long: RFC 4954 s4.
  if (reply.code === 334 && only !== undefined) return `334 ${mark}${printable(only)}\r\n`;
  const lines = reply.lines.length === 0 ? [''] : reply.lines.flatMap(breakLine);
  const last = lines.length - 1;
  return lines.map((line, at) => `${String(reply.code)}${at === last ? ' ' : '-'}${mark}${line}\r\n`).join('');
}

/** 2xx. */
export function isPositive(reply: Reply): boolean {
  return reply.code >= 200 && reply.code < 300;
}

/** 4xx. */
export function isTransient(reply: Reply): boolean {
  return reply.code >= 400 && reply.code < 500;
}

/** 5xx. */
export function isPermanent(reply: Reply): boolean {
  return reply.code >= 500 && reply.code < 600;
}

function printable(line: string): string {
  return line.replace(NOT_PRINTABLE_ALL, (char) => (char < ' ' || char === '\x7f' ? ' ' : '?'));
}

function breakLine(line: string): readonly string[] {
  const clean = printable(line);
  if (clean.length <= MAX_LINE_TEXT) return [clean];
  const parts: string[] = [];
  for (let at = 0; at < clean.length; at += MAX_LINE_TEXT) parts.push(clean.slice(at, at + MAX_LINE_TEXT));
  return parts;
}
