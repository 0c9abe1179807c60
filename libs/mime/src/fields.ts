/**
 * The octets of a header → fields. RFC 5322 s2.2. Strict about what a field is, silent about what is none.
 *
 * In: everything up to the empty line. Out: names in lower case, values unfolded and read as UTF-8 (what is not, becomes
 * U+FFFD). Lines that are no field are counted, not repaired.
 */
import type { MimeLimits } from './limits.js';

export interface HeaderField {
  /** Lower case. */
  readonly name: string;
  /** Unfolded, without space around it. */
  readonly value: string;
}

export interface HeaderBlock {
  readonly fields: readonly HeaderField[];
  /** Lines that are neither field nor continuation, and fields with space before the colon. */
  readonly anomalies: number;
}

const LF = 10;
const CR = 13;
const COLON = 58;

const utf8 = new TextDecoder('utf-8');

function isBlank(octet: number | undefined): boolean {
  return octet === 32 || octet === 9;
}

/** Undefined when there are more or larger fields than the limits. */
export function readFields(header: Uint8Array, limits: MimeLimits): HeaderBlock | undefined {
  if (header.length > limits.headerBytes) return undefined;
  const fields: HeaderField[] = [];
  let anomalies = 0;
  let count = 0;
  for (let start = 0; start < header.length;) {
    const end = endOfField(header, start);
    if (end - start > limits.fieldBytes || ++count > limits.fields) return undefined;
    const colon = header.subarray(start, end).indexOf(COLON);
    const name = colon < 1 ? undefined : nameOf(header, start, start + colon);
    if (name === undefined) {
      anomalies += 1;
    } else {
      if (isBlank(header[start + colon - 1])) anomalies += 1;
      fields.push({ name, value: valueOf(header.subarray(start + colon + 1, end)) });
    }
    start = end;
  }
  return { fields, anomalies };
}

function endOfField(header: Uint8Array, start: number): number {
  let at = start;
  for (;;) {
    const lf = header.indexOf(LF, at);
    if (lf === -1) return header.length;
    at = lf + 1;
    if (!isBlank(header[at])) return at;
  }
}

function nameOf(header: Uint8Array, start: number, colon: number): string | undefined {
  let end = colon;
  while (end > start && isBlank(header[end - 1])) end -= 1;
  let name = '';
  for (let at = start; at < end; at += 1) {
    const octet = header[at] ?? 0;
    if (octet < 33 || octet > 126) return undefined;
    name += String.fromCharCode(octet);
  }
  return name === '' ? undefined : name.toLowerCase();
}

function valueOf(octets: Uint8Array): string {
  let end = octets.length;
  while (end > 0 && (octets[end - 1] === LF || octets[end - 1] === CR)) end -= 1;
  return utf8
    .decode(octets.subarray(0, end))
    .replace(/\r?\n(?=[ \t])/g, '')
    .trim();
}
