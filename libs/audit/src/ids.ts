/**
 * Ids as people and programs outside see them: a prefix that tells the kind, and the 128 bits of the UUID in
 * Crockford's base32 (26 characters, upper case, no I L O U). The order of ids is kept. Read
 * back without case; I and L read as 1, O as 0, as Crockford has it.
 */
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const TEXT_LENGTH = 26;
const DASH = 45;
const ZERO = 48;
const NINE = 57;
/** Character code of `a`, less its value. */
const TEN_BEFORE_A = 87;

/** The trace of an id: its 26 characters without prefix, as shown in SMTP replies. Throws TypeError when `uuid` is none. */
export function traceOf(uuid: string): string {
  if (!UUID.test(uuid)) throw new TypeError(`\`${uuid}\` is no UUID in lower-case text`);
  // 26 characters are 130 bits: two zero bits go in front.
  let text = '';
  let bits = 0;
  let held = 2;
  for (let at = 0; at < uuid.length; at += 1) {
    const code = uuid.charCodeAt(at);
    if (code === DASH) continue;
    bits = (bits << 4) | (code <= NINE ? code - ZERO : code - TEN_BEFORE_A);
    held += 4;
    if (held >= 5) {
      held -= 5;
      text += ALPHABET[(bits >> held) & 31] ?? '';
      bits &= (1 << held) - 1;
    }
  }
  return text;
}

/** `txn` and a UUID give `txn_01JD…`. */
export function publicId(prefix: string, uuid: string): string {
  return `${prefix}_${traceOf(uuid)}`;
}

/** The UUID of a public id, or of a bare trace; undefined when the text is neither. */
export function parsePublicId(prefix: string, text: string): string | undefined {
  const bare = text.startsWith(`${prefix}_`) ? text.slice(prefix.length + 1) : text;
  if (bare.length !== TEXT_LENGTH || !/^[0-7OoIiLl]/.test(bare)) return undefined;
  let digits = '';
  let bits = 0;
  let held = -2;
  for (const character of bare.toUpperCase()) {
    const value = valueOf(character);
    if (value === undefined) return undefined;
    bits = (bits << 5) | value;
    held += 5;
    while (held >= 4) {
      held -= 4;
      digits += ((bits >> held) & 15).toString(16);
      bits &= (1 << held) - 1;
    }
  }
  return `${digits.slice(0, 8)}-${digits.slice(8, 12)}-${digits.slice(12, 16)}-${digits.slice(16, 20)}-${digits.slice(20)}`;
}

function valueOf(character: string): number | undefined {
  const plain = character === 'O' ? '0' : character === 'I' || character === 'L' ? '1' : character;
  const value = ALPHABET.indexOf(plain);
  return value < 0 ? undefined : value;
}

/** Milliseconds since the epoch that a UUIDv7 holds. */
export function idTimeMs(uuid: string): number {
  return Number.parseInt(uuid.slice(0, 8) + uuid.slice(9, 13), 16);
}
