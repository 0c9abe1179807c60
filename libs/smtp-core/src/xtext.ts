/**
 * xtext, the encoding of parameter values. RFC 3461 s4; RFC 6533 s3 for addresses in UTF-8.
 *
 * Values are checked here and kept as they were given: what goes on to the next hop is what came. Decoding is for
 * people and for XCLIENT.
 */
import { decodeUtf8, holdsForbiddenCharacter } from './utf8.js';

const XTEXT = /^(?:[!-*,-<>-~]|\+[0-9A-F]{2})*$/;
const HEX_CHARACTER = /\+([0-9A-F]{2})/g;
const TO_ENCODE = /[^!-*,-<>-~]/g;
const PRINTABLE = /^[\x20-\x7e]*$/;

// RFC 6533 s3: QCHAR without `\`, `\x{…}`, and UTF-8 itself where SMTPUTF8 is in force.
const UNITEXT = /^(?:[!-*,-<>-[\]-~\u0080-\u{10ffff}]|\\x\{[0-9A-F]{2,6}\})+$/u;
const EMBEDDED = /\\x\{([0-9A-F]+)\}/g;

/** The text that `xtext` stands for, one character per octet; undefined when it is no xtext. */
export function decodeXtext(xtext: string): string | undefined {
  if (!XTEXT.test(xtext)) return undefined;
  return xtext.replace(HEX_CHARACTER, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

/** One character per octet; the inverse of `decodeXtext`. */
export function encodeXtext(text: string): string {
  return text.replace(TO_ENCODE, (char) => `+${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`);
}

/** xtext for printable ASCII and nothing else, as ENVID and ORCPT want it. */
export function isPrintableXtext(xtext: string): boolean {
  const text = decodeXtext(xtext);
  return text !== undefined && PRINTABLE.test(text);
}

/** The address of ORCPT's type `utf-8`; undefined when it is none, or holds a character that no address may hold. */
export function decodeUnitext(unitext: string): string | undefined {
  if (!UNITEXT.test(unitext)) return undefined;
  // Beyond the last code point: a control, which is refused below.
  const text = unitext.replace(EMBEDDED, (_, hex: string) => {
    const point = Number.parseInt(hex, 16);
    return String.fromCodePoint(point > 0x10ffff ? 0 : point);
  });
  return holdsForbiddenCharacter(text) ? undefined : text;
}

/** xtext whose octets are UTF-8, as XCLIENT carries values. */
export function decodeUtf8Xtext(xtext: string): string | undefined {
  const octets = decodeXtext(xtext);
  return octets === undefined ? undefined : decodeUtf8(octets);
}
