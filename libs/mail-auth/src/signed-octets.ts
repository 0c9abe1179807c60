/** What a signature was computed over, and whether it fits. RFC 6376 s3.4, s3.7, s5.4.2; RFC 8463 s3. */
import { createHash, verify } from 'node:crypto';
import { relaxedField, type BodyForm } from './canonical.js';
import type { VerifyingKey } from './dkim-key.js';
import { rawField, type RawField } from './header-fields.js';

/** The fields of one message in the form that signatures want them, each made once. */
export class SignedFields {
  readonly #byName = new Map<string, RawField[]>();
  readonly #relaxed = new Map<RawField, string>();

  constructor(fields: readonly RawField[]) {
    for (const field of fields) {
      const same = this.#byName.get(field.name);
      if (same === undefined) this.#byName.set(field.name, [field]);
      else same.push(field);
    }
  }

  /** For each name of `h=` the lowest field that was not taken yet, nothing where there is none. */
  text(names: readonly string[], form: BodyForm): string {
    const taken = new Map<string, number>();
    let text = '';
    for (const name of names) {
      const count = (taken.get(name) ?? 0) + 1;
      taken.set(name, count);
      const field = this.#byName.get(name)?.at(-count);
      if (field !== undefined) text += `${this.line(field, form)}\r\n`;
    }
    return text;
  }

  line(field: RawField, form: BodyForm): string {
    if (form === 'simple') return field.raw;
    const before = this.#relaxed.get(field);
    if (before !== undefined) return before;
    const line = relaxedField(field);
    this.#relaxed.set(field, line);
    return line;
  }
}

/** A signature field as it signs itself: `b=` without its value. */
export function withoutSignature(field: RawField, form: BodyForm): string {
  const colon = field.raw.indexOf(':');
  // Only the tag `b`, at the start of a list or behind a `;`.
  const body = field.raw.slice(colon + 1).replace(/((?:^|;)[ \t\r\n]*b[ \t\r\n]*=)[^;]*/, '$1');
  const unsigned = `${field.raw.slice(0, colon + 1)}${body}`;
  return form === 'simple' ? unsigned : relaxedField(rawField(unsigned));
}

/** Whether `signature` was made over `text` (latin1) with the key. */
export function fits(text: string, signature: Buffer, { algorithm, key }: VerifyingKey): boolean {
  const octets = Buffer.from(text, 'latin1');
  try {
    if (algorithm === 'rsa') return verify('sha256', octets, key, signature);
    return verify(null, createHash('sha256').update(octets).digest(), key, signature);
  } catch {
    // A key or signature that OpenSSL can not work with proves nothing.
    return false;
  }
}
