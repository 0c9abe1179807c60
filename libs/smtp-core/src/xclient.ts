/**
 * The attributes of XCLIENT, by which a trusted proxy says whom it speaks for. Defined by Postfix (XCLIENT_README);
 * values are xtext (RFC 3461 s4) holding UTF-8.
 *
 * What a value means, and which of them are believed, is for whoever answers the question.
 */
import { holdsForbiddenCharacter } from './utf8.js';
import { decodeUtf8Xtext } from './xtext.js';

/** Those the EHLO reply names. The others are read, for proxies that send them unasked. */
export const OFFERED_XCLIENT_ATTRIBUTES = ['NAME', 'ADDR', 'PORT', 'DESTADDR', 'DESTPORT'] as const;

const KNOWN: ReadonlySet<string> = new Set([...OFFERED_XCLIENT_ATTRIBUTES, 'HELO', 'LOGIN', 'PROTO']);
const ATTRIBUTE = /^([A-Za-z]+)=([!-~]{0,1024})$/;

/** By upper-case name. Undefined when one is unknown, given twice, or no xtext. Never throws. */
export function readXclientAttributes(text: string): ReadonlyMap<string, string> | undefined {
  const attributes = new Map<string, string>();
  for (const word of text.split(' ')) {
    if (word === '') continue;
    const match = ATTRIBUTE.exec(word);
    const name = match?.[1]?.toUpperCase() ?? '';
    const value = decodeUtf8Xtext(match?.[2] ?? '');
    if (match === null || !KNOWN.has(name) || attributes.has(name) || value === undefined) return undefined;
    if (holdsForbiddenCharacter(value)) return undefined;
    attributes.set(name, value);
  }
  return attributes.size === 0 ? undefined : attributes;
}
