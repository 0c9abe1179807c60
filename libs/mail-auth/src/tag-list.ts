/** `tag=value; tag=value`: the syntax of DKIM and ARC fields, of key records, and nearly that of DMARC records. RFC 6376 s3.2. */

export type TagList = ReadonlyMap<string, string>;

const NAME = /^[a-z][a-z0-9_]*$/i;
/** Hostile text: a list has a dozen tags. */
const MAX_TAGS = 100;

/**
 * Values are without white space around them; what folds leave inside stays. Undefined: not a tag list (a part without `=`, a
 * tag that is there twice).
 */
export function readTags(text: string): TagList | undefined {
  const tags = new Map<string, string>();
  const parts = text.split(';', MAX_TAGS + 1);
  if (parts.length > MAX_TAGS) return undefined;
  for (const [index, part] of parts.entries()) {
    if (part.trim() === '') {
      // Only the last one may be empty.
      if (index < parts.length - 1) return undefined;
      continue;
    }
    const equals = part.indexOf('=');
    const name = part.slice(0, equals).trim();
    if (equals < 0 || !NAME.test(name) || tags.has(name)) return undefined;
    tags.set(name, part.slice(equals + 1).trim());
  }
  return tags;
}

/** A value in which white space means nothing: `b`, `bh`, `h`, `p`. */
export function withoutSpace(value: string): string {
  return value.replace(/[ \t\r\n]+/g, '');
}

const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;

/** Octets of a base64 value, folded or not; undefined when it is none. */
export function base64Octets(value: string): Buffer | undefined {
  const text = withoutSpace(value);
  return BASE64.test(text) ? Buffer.from(text, 'base64') : undefined;
}
