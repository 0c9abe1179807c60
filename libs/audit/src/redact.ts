/**
 * What may stand in a record. Mail is hostile: text may hold NUL or half a surrogate pair, which PostgreSQL's text
 * and json refuse; one such string must not cost the record. They become U+FFFD, everything else stays as it was.
 */
const UNSTORABLE = /\0|[\ud800-\udfff]/u;
const UNSTORABLE_ALL = /\0|[\ud800-\udfff]/gu;
/** The same inside JSON text, where JSON.stringify has written them as escapes. */
const ESCAPED_UNSTORABLE = /\\u(?:0000|[dD][89a-fA-F])/;

/** `text` with NUL and lone surrogates replaced. */
export function recordableText(text: string): string {
  return UNSTORABLE.test(text) ? text.replace(UNSTORABLE_ALL, '\ufffd') : text;
}

/** JSON text of `value` that PostgreSQL's json takes and can read, whatever strings or keys it holds. */
export function recordableJson(value: unknown): string {
  const text = JSON.stringify(value);
  return text.includes('\\u') && ESCAPED_UNSTORABLE.test(text) ? JSON.stringify(cleaned(value)) : text;
}

function cleaned(value: unknown): unknown {
  if (typeof value === 'string') return recordableText(value);
  if (Array.isArray(value)) return value.map(cleaned);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [recordableText(key), cleaned(inner)]));
}
