/**
 * The beginning of a message as text that is safe to show: header fields decoded, the first text part without markup
 * and without control characters. For people who decide about held mail; nothing is judged by it.
 */
import { readPartHeader, type PartHeader } from './attachment.js';
import { decodeCharset } from './charsets.js';
import { decodeWords } from './encoded-words.js';
import { readFields, type HeaderField } from './fields.js';
import { MIME_LIMITS } from './limits.js';
import { Base64Decoder, QuotedPrintableDecoder } from './transfer-encoding.js';

export interface Preview {
  readonly fields: readonly { readonly name: string; readonly value: string }[];
  /** '' when there is no text to show. */
  readonly text: string;
}

const MAX_FIELDS = 60;
const MAX_VALUE_CHARS = 500;
const MAX_TEXT_CHARS = 4000;
const MAX_LEVELS = 5;
const SHOWN = new Set([
  'from',
  'to',
  'cc',
  'reply-to',
  'sender',
  'subject',
  'date',
  'message-id',
  'return-path',
  'list-id',
]);

/** `head`: the first octets of the content. */
export function previewOf(head: Uint8Array): Preview {
  const { fields, body } = split(head);
  const shown = fields.filter(({ name }) => SHOWN.has(name) || name.startsWith('x-')).slice(0, MAX_FIELDS);
  return {
    fields: shown.map(({ name, value }) => ({ name, value: safe(decodeWords(value)).slice(0, MAX_VALUE_CHARS) })),
    text: textOf(fields, body, 0).slice(0, MAX_TEXT_CHARS),
  };
}

function split(octets: Uint8Array): { readonly fields: readonly HeaderField[]; readonly body: Uint8Array } {
  const text = new TextDecoder('latin1').decode(octets.subarray(0, MIME_LIMITS.headerBytes));
  const end = text.startsWith('\r\n') ? 0 : text.indexOf('\r\n\r\n');
  const header = end === -1 ? octets : octets.subarray(0, end + (end === 0 ? 0 : 2));
  const body = end === -1 ? new Uint8Array() : octets.subarray(end + (end === 0 ? 2 : 4));
  return { fields: readFields(header.subarray(0, MIME_LIMITS.headerBytes), MIME_LIMITS)?.fields ?? [], body };
}

function textOf(fields: readonly HeaderField[], body: Uint8Array, level: number): string {
  const header = readPartHeader(fields, MIME_LIMITS, 'text/plain');
  if ('fault' in header || level > MAX_LEVELS) return '';
  if (header.type.startsWith('multipart/') && header.boundary !== undefined) {
    return partsOf(body, header.boundary)
      .map((part) => {
        const inner = split(part);
        return textOf(inner.fields, inner.body, level + 1);
      })
      .reduce((found, text) => (found === '' ? text : found), '');
  }
  if (!header.type.startsWith('text/') || header.isAttachment) return '';
  const text = decoded(header, body);
  return safe(header.type === 'text/html' ? withoutMarkup(text) : text).trim();
}

const MAX_PARTS = 20;

function partsOf(body: Uint8Array, boundary: string): readonly Uint8Array[] {
  const text = new TextDecoder('latin1').decode(body);
  const delimiter = `--${boundary}`;
  const parts: Uint8Array[] = [];
  let start = text.startsWith(delimiter) ? 0 : text.indexOf(`\r\n${delimiter}`);
  while (start !== -1 && parts.length < MAX_PARTS) {
    const from = text.indexOf('\n', start + delimiter.length + (text.charAt(start) === '\r' ? 2 : 0));
    if (from === -1) break;
    const next = text.indexOf(`\r\n${delimiter}`, from - 1);
    // latin1: one character is one octet.
    parts.push(body.subarray(from + 1, next === -1 ? body.length : next));
    start = next;
  }
  return parts;
}

function decoded({ encoding, charset }: PartHeader, body: Uint8Array): string {
  const octets =
    encoding === 'base64'
      ? new Base64Decoder().decode(body)
      : encoding === 'quoted-printable'
        ? new QuotedPrintableDecoder().decode(body)
        : body;
  const label = charset.toLowerCase() === 'us-ascii' ? 'utf-8' : charset;
  return decodeCharset(octets, label) ?? decodeCharset(octets, 'utf-8') ?? '';
}

/** Text between tags; what is in script, style and head is dropped. One pass. */
function withoutMarkup(html: string): string {
  let result = '';
  let hidden = '';
  for (let at = 0; at < html.length;) {
    const open = html.indexOf('<', at);
    const text = html.slice(at, open === -1 ? html.length : open);
    if (hidden === '') result += text;
    if (open === -1) break;
    const close = html.indexOf('>', open);
    if (close === -1) break;
    const tag = /^<(\/?[a-z0-9]+)/i.exec(html.slice(open, open + 20))?.[1]?.toLowerCase() ?? '';
    if (hidden === '' && /^(?:script|style|head)$/.test(tag)) hidden = `/${tag}`;
    else if (tag === hidden) hidden = '';
    if (/^\/?(?:br|p|div|tr|li|h[1-6])$/.test(tag)) result += '\n';
    at = close + 1;
  }
  return result
    .replace(/&nbsp;/gi, ' ')
    .replace(/&lt;/gi, '<')
    .replace(/&gt;/gi, '>')
    .replace(/&amp;/gi, '&')
    .replace(/\n{3,}/g, '\n\n');
}

const UNSAFE =
  /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]/gu;

function safe(text: string): string {
  return text.replaceAll('\r\n', '\n').replaceAll('\r', '\n').replace(UNSAFE, '\ufffd');
}
