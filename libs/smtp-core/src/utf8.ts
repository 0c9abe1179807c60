/**
 * UTF-8 in commands: strict decoding, and the code points that no address may hold. RFC 3629, RFC 6531 s3.3.
 */
const STRICT = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const NON_ASCII = /[^\0-\x7f]/;
/**
 * Controls (C0, C1), invisible and bidi controls, separators, spaces other than U+0020, lone surrogates: what makes two
 * addresses look alike, or one look like another.
 */
const FORBIDDEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]|(?! )\p{Zs}/u;

export function isAscii(text: string): boolean {
  return !NON_ASCII.test(text);
}

/** Text of one character per octet, read as UTF-8. Undefined when it is ill-formed. */
export function decodeUtf8(octets: string): string | undefined {
  if (isAscii(octets)) return octets;
  return decodeUtf8Octets(Buffer.from(octets, 'latin1'));
}

/** Undefined when the octets are ill-formed. */
export function decodeUtf8Octets(octets: Uint8Array): string | undefined {
  try {
    return STRICT.decode(octets);
  } catch {
    return undefined;
  }
}

export function holdsForbiddenCharacter(text: string): boolean {
  return FORBIDDEN.test(text);
}
