/**
 * SPF records: text → terms, or what is wrong with it. RFC 7208 s4.5, s4.6, s5, s6, s12. One fault anywhere makes the whole
 * record a permerror, so it is read as a whole before any of it is evaluated.
 */
import { parseIpv4, parseIpv6, type IpBytes } from './addresses.js';
import { readDomainSpec, readMacros, type MacroString } from './spf-macros.js';

export type Qualifier = 'pass' | 'fail' | 'softfail' | 'neutral';

interface TermBase {
  readonly qualifier: Qualifier;
  /** As written. */
  readonly text: string;
}

export type Mechanism = TermBase &
  (
    | { readonly kind: 'all' }
    | { readonly kind: 'include' | 'exists'; readonly target: MacroString }
    | { readonly kind: 'a' | 'mx'; readonly target?: MacroString; readonly bits4: number; readonly bits6: number }
    | { readonly kind: 'ptr'; readonly target?: MacroString }
    | { readonly kind: 'ip'; readonly network: IpBytes; readonly bits: number }
  );

export interface SpfRecord {
  readonly mechanisms: readonly Mechanism[];
  /** Target of `redirect`. */
  readonly redirect?: MacroString;
}

export type ReadSpfRecord =
  { readonly ok: true; readonly record: SpfRecord } | { readonly ok: false; readonly why: string };

/** RFC 7208 s3.4 speaks of 450 octets; what is longer than this was not written by a person. */
const MAX_RECORD_CHARS = 16_384;

/** Whether a TXT record is an SPF record: `v=spf1` and then a space or the end. RFC 7208 s4.5. */
export function isSpfRecord(text: string): boolean {
  return /^v=spf1(?: |$)/i.test(text);
}

const QUALIFIERS: Readonly<Record<string, Qualifier>> = { '+': 'pass', '-': 'fail', '~': 'softfail', '?': 'neutral' };
const MODIFIER = /^([a-z][a-z0-9_.-]*)=(.*)$/is;
const MECHANISM = /^([+\-~?]?)([a-z][a-z0-9_.-]*)(?:([:/])(.*))?$/is;

export function readSpfRecord(text: string): ReadSpfRecord {
  if (text.length > MAX_RECORD_CHARS) return fault(`more than ${String(MAX_RECORD_CHARS)} characters`);
  // A tab or a letter that is not ASCII is no part of any term.
  if (!/^[ -~]*$/.test(text)) return fault('characters that are not ASCII');
  const mechanisms: Mechanism[] = [];
  const modifiers = new Map<string, MacroString>();
  for (const term of text.slice('v=spf1'.length).split(' ')) {
    if (term === '') continue;
    const modifier = MODIFIER.exec(term);
    if (modifier === null) {
      const mechanism = readMechanism(term);
      if (mechanism === undefined) return fault(`\`${shown(term)}\` is no term`);
      mechanisms.push(mechanism);
      continue;
    }
    const why = readModifier(modifiers, modifier[1] ?? '', modifier[2] ?? '');
    if (why !== undefined) return fault(why);
  }
  const redirect = modifiers.get('redirect');
  return { ok: true, record: { mechanisms, ...(redirect !== undefined && { redirect }) } };
}

function fault(why: string): ReadSpfRecord {
  return { ok: false, why };
}

function shown(term: string): string {
  return term.length > 60 ? `${term.slice(0, 60)}…` : term;
}

/** What is wrong with it; undefined when nothing is. Modifiers that nobody knows are passed over. */
function readModifier(known: Map<string, MacroString>, rawName: string, value: string): string | undefined {
  const name = rawName.toLowerCase();
  if (name !== 'redirect' && name !== 'exp') {
    return readMacros(value, true) === undefined ? `\`${shown(`${rawName}=${value}`)}\` is no modifier` : undefined;
  }
  const target = readDomainSpec(value);
  if (target === undefined) return `\`${shown(`${name}=${value}`)}\` names no domain`;
  if (known.has(name)) return `more than one \`${name}=\``;
  known.set(name, target);
  return undefined;
}

/** A mechanism as it stands there: `name`, then `:` or `/` and the rest, if there is any. */
interface Written extends TermBase {
  readonly name: string;
  readonly separator: string;
  readonly rest: string;
}

const READERS: Readonly<Record<string, (written: Written) => Mechanism | undefined>> = {
  all: ({ separator, ...written }) => (separator === '' ? { ...baseOf(written), kind: 'all' } : undefined),
  include: (written) => readNamed(written, 'include'),
  exists: (written) => readNamed(written, 'exists'),
  a: (written) => readHosts(written, 'a'),
  mx: (written) => readHosts(written, 'mx'),
  ptr: (written) => {
    if (written.separator === '') return { ...baseOf(written), kind: 'ptr' };
    const target = domainSpecOf(written);
    return target && { ...baseOf(written), kind: 'ptr', target };
  },
  ip4: (written) => readNetwork(written, 32),
  ip6: (written) => readNetwork(written, 128),
};

function readMechanism(text: string): Mechanism | undefined {
  const found = MECHANISM.exec(text);
  if (found === null) return undefined;
  const [, sign = '', rawName = '', separator = '', rest = ''] = found;
  const name = rawName.toLowerCase();
  if (!Object.hasOwn(READERS, name)) return undefined;
  return READERS[name]?.({ name, separator, rest, text, qualifier: QUALIFIERS[sign] ?? 'pass' });
}

function baseOf({ qualifier, text }: TermBase): TermBase {
  return { qualifier, text };
}

function domainSpecOf({ separator, rest }: Written): MacroString | undefined {
  return separator === ':' ? readDomainSpec(rest) : undefined;
}

function readNamed(written: Written, kind: 'include' | 'exists'): Mechanism | undefined {
  const target = domainSpecOf(written);
  return target && { ...baseOf(written), kind, target };
}

const DUAL_CIDR = /(?:\/(0|[1-9]\d?))?(?:\/\/(0|[1-9]\d{0,2}))?$/;

/** `a`, `mx`: `[:domain-spec][/bits[//bits]]`. */
function readHosts(written: Written, kind: 'a' | 'mx'): Mechanism | undefined {
  const { separator } = written;
  const rest = separator === '/' ? `/${written.rest}` : written.rest;
  const [lengths = '', four, six] = DUAL_CIDR.exec(rest) ?? [];
  const bits4 = four === undefined ? 32 : Number(four);
  const bits6 = six === undefined ? 128 : Number(six);
  if (bits4 > 32 || bits6 > 128) return undefined;
  const name = rest.slice(0, rest.length - lengths.length);
  const hosts = { ...baseOf(written), kind, bits4, bits6 };
  if (separator !== ':') return name === '' ? hosts : undefined;
  const target = readDomainSpec(name);
  return target && { ...hosts, target };
}

function readNetwork(written: Written, widest: 32 | 128): Mechanism | undefined {
  const [address = '', length, ...more] = written.rest.split('/');
  if (written.separator !== ':' || more.length > 0) return undefined;
  if (length !== undefined && !/^(?:0|[1-9]\d{0,2})$/.test(length)) return undefined;
  const bits = length === undefined ? widest : Number(length);
  const network = widest === 32 ? parseIpv4(address) : parseIpv6(address);
  return network === undefined || bits > widest ? undefined : { ...baseOf(written), kind: 'ip', network, bits };
}
