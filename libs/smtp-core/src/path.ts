/**
 * Reverse and forward paths: the one address value of envelope, policy, routing and audit.
 * RFC 5321 s4.1.2 (grammar), s4.5.3.1 (lengths); RFC 6531 s3.3 when SMTPUTF8 is in force.
 *
 * In:  `<…>` exactly as it stood in the command.   Out: a value whose parts went through the grammar, or a fault.
 * The raw text is never needed again. A source route is read and dropped (appendix C); `%` and `!` are ordinary
 * characters of a local part. The local part is kept unquoted and printed with the least quoting (s4.1.2), so
 * `"a"@x` and `a@x` are one mailbox. Comments and encoded words do not exist in a path.
 */
import { parseAddressLiteral, parseDomain } from './domain.js';
import { holdsForbiddenCharacter, isAscii } from './utf8.js';

/** One mailbox. `localPart` is unquoted and case-preserved, `domain` a lower-case A-label or `[literal]`. */
export interface Mailbox {
  readonly localPart: string;
  readonly domain: string;
}
export type ReversePath = { readonly kind: 'null' } | { readonly kind: 'mailbox'; readonly mailbox: Mailbox };
export type ForwardPath = { readonly kind: 'postmaster' } | { readonly kind: 'mailbox'; readonly mailbox: Mailbox };

/** `needs-smtputf8`: right in RFC 6531, refused because the transaction did not ask for it. */
export type PathFault = 'no-brackets' | 'bad-syntax' | 'bad-local-part' | 'bad-domain' | 'too-long' | 'needs-smtputf8';
export type PathResult<Path> =
  { readonly ok: true; readonly path: Path } | { readonly ok: false; readonly fault: PathFault };
export interface PathOptions {
  readonly smtpUtf8?: boolean;
}

const MAX_LOCAL_PART_OCTETS = 64;
const MAX_PATH_OCTETS = 256;

const ATEXT = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]";
const DOT_STRING = new RegExp(`^${ATEXT}+(?:\\.${ATEXT}+)*$`);
// The common case in one match: dot-string local part, LDH domain in lower case without A-labels.
const PLAIN_PATH = new RegExp(`^<(${ATEXT}+(?:\\.${ATEXT}+)*)@([a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)>$`);
const QUOTED_STRING = /^"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\[\x20-\x7e])*"$/;
// With SMTPUTF8 every code point above ASCII is atext and qtext, save those of `holdsForbiddenCharacter`.
const NON_ASCII_ALL = /[^\0-\x7f]/g;

/** Reads `<>` or `<mailbox>`. Never throws. */
export function parseReversePath(text: string, options: PathOptions = {}): PathResult<ReversePath> {
  if (text === '<>') return { ok: true, path: { kind: 'null' } };
  return parseMailboxPath(text, options);
}

/** Reads `<mailbox>` or `<Postmaster>` (in any case). Never throws. */
export function parseForwardPath(text: string, options: PathOptions = {}): PathResult<ForwardPath> {
  if (text.length === 12 && text.toLowerCase() === '<postmaster>') return { ok: true, path: { kind: 'postmaster' } };
  return parseMailboxPath(text, options);
}

/** Reads `local@domain` without brackets, as policies and the API write it. */
export function parseMailbox(text: string, options: PathOptions = {}): Mailbox | undefined {
  const result = text.startsWith('@') ? undefined : parseMailboxPath(`<${text}>`, options);
  return result?.ok === true ? result.path.mailbox : undefined;
}

/** `local@domain`, quoted when it must be. `parseMailbox(printMailbox(m))` equals `m`. */
export function printMailbox(mailbox: Mailbox): string {
  return `${printLocalPart(mailbox.localPart)}@${mailbox.domain}`;
}

/** `<>`, or `<local@domain>`. */
export function printReversePath(path: ReversePath): string {
  return path.kind === 'null' ? '<>' : `<${printMailbox(path.mailbox)}>`;
}

/** `<Postmaster>`, or `<local@domain>`. */
export function printForwardPath(path: ForwardPath): string {
  return path.kind === 'postmaster' ? '<Postmaster>' : `<${printMailbox(path.mailbox)}>`;
}

/** Index just behind the `>` that closes a path opened at `from`; `>` inside quotes does not close. -1 when open. */
export function findPathEnd(text: string, from: number): number {
  const close = text.indexOf('>', from);
  const quote = text.indexOf('"', from);
  if (close < 0 || quote < 0 || quote > close) return close < 0 ? -1 : close + 1;
  let quoted = false;
  for (let index = from; index < text.length; index += 1) {
    const char = text[index];
    if (quoted && char === '\\') index += 1;
    else if (char === '"') quoted = !quoted;
    else if (char === '>' && !quoted) return index + 1;
  }
  return -1;
}

function parseMailboxPath(text: string, options: PathOptions): PathResult<{ kind: 'mailbox'; mailbox: Mailbox }> {
  if (text.length > MAX_PATH_OCTETS) return { ok: false, fault: 'too-long' };
  const plain = PLAIN_PATH.exec(text);
  const localPart = plain?.[1];
  const domain = plain?.[2];
  if (localPart === undefined || domain === undefined) return parseUncommonPath(text, options);
  return finish(localPart, localPart, parseDomain(domain));
}

function parseUncommonPath(text: string, options: PathOptions): PathResult<{ kind: 'mailbox'; mailbox: Mailbox }> {
  if (!text.startsWith('<') || !text.endsWith('>') || text.length < 2) return { ok: false, fault: 'no-brackets' };
  if (octetsOf(text) > MAX_PATH_OCTETS) return { ok: false, fault: 'too-long' };
  const utf8 = !isAscii(text);
  if (utf8 && options.smtpUtf8 !== true) return { ok: false, fault: 'needs-smtputf8' };
  if (utf8 && holdsForbiddenCharacter(text)) return { ok: false, fault: 'bad-syntax' };

  const address = dropSourceRoute(text.slice(1, -1));
  // The last `@` divides: none may stand in a domain, and one in a local part is quoted.
  const at = address?.lastIndexOf('@') ?? -1;
  if (address === undefined || at < 0) return { ok: false, fault: 'bad-syntax' };
  const rawLocalPart = address.slice(0, at);
  const rawDomain = address.slice(at + 1);
  const localPart = parseLocalPart(rawLocalPart);
  if (localPart === undefined) return { ok: false, fault: 'bad-local-part' };
  return finish(
    rawLocalPart,
    localPart,
    rawDomain.startsWith('[') ? parseAddressLiteral(rawDomain) : parseDomain(rawDomain),
  );
}

function finish(
  rawLocalPart: string,
  localPart: string,
  domain: string | undefined,
): PathResult<{ kind: 'mailbox'; mailbox: Mailbox }> {
  if (domain === undefined) return { ok: false, fault: 'bad-domain' };
  const localOctets = octetsOf(rawLocalPart);
  if (localOctets > MAX_LOCAL_PART_OCTETS) return { ok: false, fault: 'too-long' };
  // A-labels may be longer than what was sent; the path must still fit when it is sent on.
  if (localOctets + domain.length + 3 > MAX_PATH_OCTETS) return { ok: false, fault: 'too-long' };
  return { ok: true, path: { kind: 'mailbox', mailbox: { localPart, domain } } };
}

/** The mailbox behind `@one,@two:`; undefined when the route does not follow the grammar. RFC 5321 appendix C. */
function dropSourceRoute(address: string): string | undefined {
  if (!address.startsWith('@')) return address;
  const colon = routeEnd(address);
  if (colon < 0) return undefined;
  const hops = address.slice(0, colon).split(',');
  const wellFormed = hops.every((hop) => {
    const rawDomain = hop.slice(1);
    return hop.startsWith('@') && (parseDomain(rawDomain) ?? parseAddressLiteral(rawDomain)) !== undefined;
  });
  return wellFormed ? address.slice(colon + 1) : undefined;
}

/** The colon that ends a source route is the first one outside a `[literal]`. */
function routeEnd(address: string): number {
  let inLiteral = false;
  for (let index = 0; index < address.length; index += 1) {
    const char = address[index];
    if (char === '[') inLiteral = true;
    else if (char === ']') inLiteral = false;
    else if (char === ':' && !inLiteral) return index;
  }
  return -1;
}

function parseLocalPart(raw: string): string | undefined {
  const ascii = isAscii(raw) ? raw : raw.replace(NON_ASCII_ALL, 'a');
  if (DOT_STRING.test(ascii)) return raw;
  if (!QUOTED_STRING.test(ascii) || raw.length < 3) return undefined;
  return raw.slice(1, -1).replace(/\\(.)/gsu, '$1');
}

function printLocalPart(localPart: string): string {
  const ascii = isAscii(localPart) ? localPart : localPart.replace(NON_ASCII_ALL, 'a');
  return DOT_STRING.test(ascii) ? localPart : `"${localPart.replace(/["\\]/g, '\\$&')}"`;
}

/** Octets in UTF-8. */
function octetsOf(text: string): number {
  if (isAscii(text)) return text.length;
  let octets = 0;
  for (const char of text) {
    const point = char.codePointAt(0) ?? 0;
    octets += point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
  }
  return octets;
}
