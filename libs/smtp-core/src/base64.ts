/**
 * Base64 as SASL wants it: the whole alphabet, the whole padding, nothing else. RFC 4648 s3.3, s3.5, s4; RFC 4954 s4.
 *
 * A lenient decoder lets two spellings be one secret and skips what does not belong; here such text is refused.
 */
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** Undefined when `text` is not canonical base64: foreign characters, missing padding, bits set behind the end. */
export function decodeBase64(text: string): Buffer | undefined {
  if (!BASE64.test(text)) return undefined;
  const octets = Buffer.from(text, 'base64');
  return octets.toString('base64') === text ? octets : undefined;
}
