/** base64 and quoted-printable, as lenient as mail programs: what can not be decoded is left out. RFC 2045 s6.7, s6.8. */
const SEXTETS = new Int8Array(256).fill(-1);
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
for (let value = 0; value < ALPHABET.length; value += 1) SEXTETS[ALPHABET.charCodeAt(value)] = value;

/** Decodes in pieces that may be cut anywhere. */
export class Base64Decoder {
  private bits = 0;
  private held = 0;

  decode(octets: Uint8Array): Uint8Array {
    const result = new Uint8Array(Math.ceil((octets.length + 4) * 0.75) + 1);
    let length = 0;
    for (const octet of octets) {
      const sextet = SEXTETS[octet] ?? -1;
      if (sextet < 0) continue;
      this.bits = ((this.bits << 6) | sextet) & 0xffffff;
      this.held += 6;
      if (this.held < 8) continue;
      this.held -= 8;
      result[length] = (this.bits >> this.held) & 0xff;
      length += 1;
    }
    return result.subarray(0, length);
  }
}

/** One line of text at a time or in pieces; soft line breaks are joined. */
export class QuotedPrintableDecoder {
  private pending: number[] = [];

  decode(octets: Uint8Array): Uint8Array {
    const result = new Uint8Array(octets.length + this.pending.length);
    let length = 0;
    const put = (octet: number): void => {
      result[length] = octet;
      length += 1;
    };
    for (const octet of octets) {
      if (this.pending.length === 0) {
        if (octet === EQUALS) this.pending.push(octet);
        else put(octet);
        continue;
      }
      this.pending.push(octet);
      this.settle(put);
    }
    return result.subarray(0, length);
  }

  /** `=` and one or two octets: a hex pair, a soft line break, or nothing that is known. */
  private settle(put: (octet: number) => void): void {
    const [, first = 0, second] = this.pending;
    if (first === LF) this.pending = [];
    if (second === undefined) return;
    const high = hexValue(first);
    const low = hexValue(second);
    if (high >= 0 && low >= 0) put(high * 16 + low);
    else if (!(first === CR && second === LF)) for (const octet of this.pending) put(octet);
    this.pending = [];
  }
}

const EQUALS = 61;
const SPACE = 32;
const UNDERSCORE = 95;
const LF = 10;
const CR = 13;

function hexValue(octet: number): number {
  if (octet >= 48 && octet <= 57) return octet - 48;
  const letter = octet | 32;
  return letter >= 97 && letter <= 102 ? letter - 87 : -1;
}

/** A stretch of text. */
interface Stretch {
  readonly from: number;
  readonly to: number;
}

/** The Q encoding of RFC 2047 (`_` is a blank), put into `octets` from `length` on; returns the new length. */
export function readQ(text: string, { from, to }: Stretch, octets: Uint8Array, length: number): number {
  let at = from;
  let into = length;
  while (at < to) {
    const code = text.charCodeAt(at);
    if (code > 127) {
      const whole = String.fromCodePoint(text.codePointAt(at) ?? 0);
      into += encoder.encodeInto(whole, octets.subarray(into)).written;
      at += whole.length;
      continue;
    }
    if (code === EQUALS) {
      const high = at + 2 < to ? hexValue(text.charCodeAt(at + 1)) : -1;
      const low = high < 0 ? -1 : hexValue(text.charCodeAt(at + 2));
      if (low >= 0) {
        octets[into++] = high * 16 + low;
        at += 3;
        continue;
      }
    }
    octets[into++] = code === UNDERSCORE ? SPACE : code;
    at += 1;
  }
  return into;
}

/** Base64 put into `octets` from `length` on, what is none of it left out; returns the new length. */
export function readBase64(text: string, { from, to }: Stretch, octets: Uint8Array, length: number): number {
  let into = length;
  let bits = 0;
  let held = 0;
  for (let at = from; at < to; at += 1) {
    const code = text.charCodeAt(at);
    const sextet = code < 128 ? (SEXTETS[code] ?? -1) : -1;
    if (sextet < 0) continue;
    bits = ((bits << 6) | sextet) & 0xffffff;
    held += 6;
    if (held < 8) continue;
    held -= 8;
    octets[into++] = (bits >> held) & 0xff;
  }
  return into;
}

/** `%41` → `A`, in the octets of a parameter's value. RFC 2231 s4. */
export function decodePercent(text: string): Uint8Array {
  const octets = asOctets(text);
  const result: number[] = [];
  for (let at = 0; at < octets.length; at += 1) {
    const high = octets[at] === 37 ? hexValue(octets[at + 1] ?? 0) : -1;
    const low = high < 0 ? -1 : hexValue(octets[at + 2] ?? 0);
    if (low < 0) {
      result.push(octets[at] ?? 0);
    } else {
      result.push(high * 16 + low);
      at += 2;
    }
  }
  return Uint8Array.from(result);
}

const encoder = new TextEncoder();

export function asOctets(text: string): Uint8Array {
  return encoder.encode(text);
}
