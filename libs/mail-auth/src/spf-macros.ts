/**
 * Macro strings of SPF records: read once, strictly, then expanded. RFC 7208 s7.
 *
 * `c`, `r` and `t` exist in explanations only, which are never fetched here; elsewhere they are faults.
 */

export interface MacroExpand {
  /** Lower-case. */
  readonly letter: string;
  readonly urlEncoded: boolean;
  /** Rightmost parts to keep, 0 for all. */
  readonly keep: number;
  readonly reversed: boolean;
  readonly delimiters: string;
}

export type MacroPart = string | MacroExpand;

export interface MacroString {
  readonly text: string;
  readonly parts: readonly MacroPart[];
}

const EXPAND = /^%\{([slodipvhcrt])(\d{0,3})(r?)([.\-+,/_=]*)\}/i;
const LITERAL = /^[!-$&-~]+/;
const ESCAPED: Readonly<Record<string, string>> = { '%%': '%', '%_': ' ', '%-': '%20' };
const ONLY_IN_EXPLANATIONS = new Set(['c', 'r', 't']);

/** Undefined: not a macro string. */
export function readMacros(text: string, explains = false): MacroString | undefined {
  const parts: MacroPart[] = [];
  let rest = text;
  while (rest !== '') {
    const literal = LITERAL.exec(rest)?.[0];
    if (literal !== undefined) {
      parts.push(literal);
      rest = rest.slice(literal.length);
      continue;
    }
    const escaped = ESCAPED[rest.slice(0, 2)];
    if (escaped !== undefined) {
      parts.push(escaped);
      rest = rest.slice(2);
      continue;
    }
    const found = EXPAND.exec(rest);
    if (found === null) return undefined;
    const expand = readExpand(found);
    if (expand === undefined || (!explains && ONLY_IN_EXPLANATIONS.has(expand.letter))) return undefined;
    parts.push(expand);
    rest = rest.slice(found[0].length);
  }
  return { text, parts };
}

function readExpand([, letter = '', digits = '', reversed = '', delimiters = '']: RegExpExecArray):
  MacroExpand | undefined {
  const keep = digits === '' ? 0 : Number(digits);
  if (digits !== '' && keep === 0) return undefined;
  return {
    letter: letter.toLowerCase(),
    urlEncoded: letter !== letter.toLowerCase(),
    keep,
    reversed: reversed !== '',
    delimiters: delimiters === '' ? '.' : delimiters,
  };
}

const ALPHANUMERIC_TOP = /^[a-z0-9]*[a-z][a-z0-9]*$/i;
const HYPHENED_TOP = /^[a-z0-9]+-[a-z0-9-]*[a-z0-9]$/i;

/** Domain-spec: a macro string that ends with a macro or with a top label. RFC 7208 s7.1. */
export function readDomainSpec(text: string): MacroString | undefined {
  const macros = readMacros(text);
  const last = macros?.parts.at(-1);
  if (macros === undefined || last === undefined) return undefined;
  if (typeof last !== 'string') return macros;
  const bare = last.endsWith('.') ? last.slice(0, -1) : last;
  const dot = bare.lastIndexOf('.');
  const top = bare.slice(dot + 1);
  return dot >= 0 && (ALPHANUMERIC_TOP.test(top) || HYPHENED_TOP.test(top)) ? macros : undefined;
}

export interface MacroValues {
  /** `local@domain`. */
  readonly sender: string;
  /** Domain of the record that is being read. */
  readonly domain: string;
  readonly helo: string;
  /** As `i` wants it: dotted quad, or nibbles with dots. */
  readonly dottedIp: string;
  readonly isIpv6: boolean;
  /** Validated name of the client, `unknown` where there is none. */
  readonly validatedName: () => Promise<string>;
}

/** Expanded, and cut from the left to what a name may have (253 characters). RFC 7208 s7.3. */
export async function expandMacros({ parts }: MacroString, values: MacroValues): Promise<string> {
  let text = '';
  for (const part of parts) text += typeof part === 'string' ? part : transformed(part, await valueOf(part, values));
  let name = text.endsWith('.') ? text.slice(0, -1) : text;
  while (name.length > 253) {
    const dot = name.indexOf('.');
    if (dot < 0) return name;
    name = name.slice(dot + 1);
  }
  return name;
}

async function valueOf({ letter }: MacroExpand, values: MacroValues): Promise<string> {
  const at = values.sender.lastIndexOf('@');
  switch (letter) {
    case 's':
      return values.sender;
    case 'l':
      return values.sender.slice(0, at);
    case 'o':
      return values.sender.slice(at + 1);
    case 'd':
      return values.domain;
    case 'i':
      return values.dottedIp;
    case 'p':
      return values.validatedName();
    case 'v':
      return values.isIpv6 ? 'ip6' : 'in-addr';
    default:
      return values.helo;
  }
}

function transformed({ keep, reversed, delimiters, urlEncoded }: MacroExpand, value: string): string {
  let text = value;
  if (keep > 0 || reversed || delimiters !== '.') {
    const parts: string[] = [];
    let part = '';
    for (const character of value) {
      if (delimiters.includes(character)) {
        parts.push(part);
        part = '';
      } else part += character;
    }
    parts.push(part);
    if (reversed) parts.reverse();
    text = (keep > 0 ? parts.slice(-keep) : parts).join('.');
  }
  return urlEncoded ? encodeURIComponent(text).replace(/[!'()*]/g, percent) : text;
}

function percent(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
}
