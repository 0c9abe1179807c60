/**
 * Reads the few header fields that the audit names, and counts `Received:`. RFC 5322 s2.2.
 *
 * Not a header parser for decisions: it looks at the first octets of the content only, never throws, and what it
 * returns is shown to people and searched for, nothing more. The loop count is the exception: RFC 5321 s6.3.
 */

/** How far into the content header fields are looked for. A header larger than this is cut, not refused. */
const HEADER_WINDOW_BYTES = 65_536;
/** Stored values are cut to this many characters. */
const MAX_VALUE_CHARS = 512;

export interface MessageHeaders {
  readonly messageId?: string;
  readonly from?: string;
  readonly subject?: string;
  readonly receivedCount: number;
}

const LF = 0x0a;
const SPACE = 0x20;
const TAB = 0x09;

/** `content` starts with the first octet after DATA; only its first 64 KiB are looked at. */
export function readMessageHeaders(content: Buffer): MessageHeaders {
  const window = content.length > HEADER_WINDOW_BYTES ? content.subarray(0, HEADER_WINDOW_BYTES) : content;
  const found: { messageId?: string; from?: string; subject?: string } = {};
  let receivedCount = 0;
  let start = 0;
  while (start < window.length) {
    const end = endOfField(window, start);
    if (end - start <= 2) break; // the empty line after the header
    switch (fieldName(window, start)) {
      case 'received':
        receivedCount += 1;
        break;
      case 'message-id':
        found.messageId ??= fieldValue(window, start, end);
        break;
      case 'from':
        found.from ??= fieldValue(window, start, end);
        break;
      case 'subject':
        found.subject ??= fieldValue(window, start, end);
        break;
      default:
    }
    start = end;
  }
  return { ...found, receivedCount };
}

/** Index behind the field that starts at `start`, its folded lines included. */
function endOfField(window: Buffer, start: number): number {
  let at = start;
  for (;;) {
    const lf = window.indexOf(LF, at);
    if (lf === -1) return window.length;
    at = lf + 1;
    const next = window[at];
    // The line just ended was empty, or the next one does not continue it.
    if (at - start <= 2 || (next !== SPACE && next !== TAB)) return at;
  }
}

/** Lower-case name of an interesting field, or ''. The first letter decides for most fields. */
function fieldName(window: Buffer, start: number): string {
  const first = (window[start] ?? 0) | 0x20;
  if (first !== 0x72 && first !== 0x6d && first !== 0x66 && first !== 0x73) return '';
  const name = window.toString('latin1', start, Math.min(start + 16, window.length));
  const colon = name.indexOf(':');
  return colon === -1 ? '' : name.slice(0, colon).trimEnd().toLowerCase();
}

function fieldValue(window: Buffer, start: number, end: number): string {
  const colon = window.indexOf(0x3a, start);
  const raw = window.toString('utf8', colon + 1, Math.min(end, colon + 1 + 4 * MAX_VALUE_CHARS));
  const unfolded = raw
    .replace(/\r?\n[ \t]+/g, ' ')
    .replace(/[\u0000-\u001f\u007f-\u009f]/g, ' ')
    .trim();
  return unfolded.length > MAX_VALUE_CHARS ? unfolded.slice(0, MAX_VALUE_CHARS) : unfolded;
}
