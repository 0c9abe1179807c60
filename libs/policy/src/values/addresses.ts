/**
 * Mail addresses as values of facts and as entries of lists. RFC 5321 s4.1.2.
 *
 * Canonical text is `local@domain`: the local part unquoted where quoting is needless, the domain as lower-case
 * A-labels (or an address literal, in facts only). `*@domain` stands for every address of a domain, in documents only.
 */
import { parseDomain } from './domains.js';

export interface Address {
  readonly local: string;
  readonly domain: string;
}

export type AddressResult =
  | { readonly ok: true; readonly address: string; readonly local: string; readonly domain: string }
  | { readonly ok: false; readonly message: string; readonly fix?: string };

const DOT_STRING =
  /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\u{10ffff}-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\u{10ffff}-]+)*$/u;
const QUOTED = /^"(?:[ !#-[\]-~\u0080-\u{10ffff}]|\\[ -~])*"$/u;
/** Forms that ask the next system to relay: `user%other@here`, `other!user@here`, `"user@other"@here`. */
const RELAYING_FORM = /[%!@]/;
const LITERAL = /^\[[0-9A-Za-z:.]+\]$/;

/** Takes an address apart at its last `@`. Undefined when there is none or a side is empty. */
export function splitAddress(address: string): Address | undefined {
  const at = address.lastIndexOf('@');
  if (at < 1 || at === address.length - 1) return undefined;
  return { local: address.slice(0, at), domain: address.slice(at + 1) };
}

function unquote(local: string): string | undefined {
  if (DOT_STRING.test(local)) return local;
  if (!QUOTED.test(local)) return undefined;
  const plain = local.slice(1, -1).replace(/\\(.)/gu, '$1');
  return DOT_STRING.test(plain) ? plain : local;
}

/** An address as a person writes it in a document or a test. `*` is accepted as local part when `wildcard` is set. */
export function parseAddress(text: string, wildcard = false): AddressResult {
  const parts = splitAddress(text);
  if (parts === undefined) {
    return { ok: false, message: `\`${text}\` is not an address, expected \`local@domain\`` };
  }
  const local = unquote(parts.local);
  if (local === undefined || local.length > 64 || (local === '*' && !wildcard)) {
    return { ok: false, message: `\`${text}\` has no valid local part, expected \`local@domain\`` };
  }
  if (local !== '*' && local.includes('*') && wildcard) {
    return {
      ok: false,
      message: `\`${text}\` has a wildcard inside the local part, expected \`*@domain\` or a whole address`,
    };
  }
  const domain = parseDomain(parts.domain);
  if (!domain.ok) return domain;
  return { ok: true, address: `${local}@${domain.domain}`, local, domain: domain.domain };
}

/** Why an address that reached the judge must not be used, or undefined. The grammar proper is the SMTP parser's job. */
export function addressFault(address: string): string | undefined {
  const parts = splitAddress(address);
  if (parts === undefined) return 'address without local part or domain';
  if (unquote(parts.local) === undefined || parts.local.length > 256) return 'malformed local part';
  if (LITERAL.test(parts.domain)) return undefined;
  if (parts.domain.endsWith('.')) return 'domain with a trailing dot';
  return /^[^\s@,;:<>()[\]"\\]+$/.test(parts.domain) && !parts.domain.includes('..') && !parts.domain.startsWith('.')
    ? undefined
    : 'malformed domain';
}

/** Whether the local part asks somebody else to relay (source routing by other means). */
export function isRelayingForm(local: string): boolean {
  return RELAYING_FORM.test(local);
}
