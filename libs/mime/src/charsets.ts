/**
 * Octets in a charset → text. Encoding Standard (WHATWG) labels, as TextDecoder knows them.
 *
 * Making a decoder costs much, and refusing an unknown label more: both are remembered, and what one value may make this
 * find out anew is bounded (`CharsetBudget`), so that a header full of made-up labels costs no more than any other.
 */

/** How many labels nobody has met yet one value may name. Well-known ones are not counted. */
const NEW_LABELS = 32;
const MAX_UNKNOWN = 1_000;
/** Shorter pure ASCII is read without a decoder. */
const SHORT = 64;

const WELL_KNOWN: ReadonlySet<string> = new Set([
  ...[
    'utf-8',
    'utf8',
    'us-ascii',
    'ascii',
    'latin1',
    'utf-16',
    'utf-16le',
    'utf-16be',
    'koi8-r',
    'koi8-u',
    'macintosh',
  ],
  ...['shift_jis', 'shift-jis', 'sjis', 'iso-2022-jp', 'euc-jp', 'euc-kr', 'ks_c_5601-1987', 'big5', 'gb2312', 'gbk'],
  ...['gb18030', 'tis-620', 'ibm866', 'cp866', 'iso-8859-8-i'],
  ...Array.from({ length: 16 }, (_, part) => `iso-8859-${String(part + 1)}`),
  ...Array.from({ length: 9 }, (_, page) => `windows-125${String(page)}`),
]);
/** Octets below 128 are not ASCII in these, or not always. */
const NOT_ASCII: ReadonlySet<string> = new Set(['utf-16le', 'utf-16be', 'iso-2022-jp', 'replacement']);

interface Charset {
  readonly decoder: InstanceType<typeof TextDecoder>;
  readonly holdsAscii: boolean;
}

const known = new Map<string, Charset>();
const unknown = new Set<string>();

export class CharsetBudget {
  #left = NEW_LABELS;

  take(label: string): boolean {
    if (WELL_KNOWN.has(label)) return true;
    this.#left -= 1;
    return this.#left >= 0;
  }
}

/** Undefined when the charset is not known. */
export function decodeCharset(octets: Uint8Array, label: string, budget?: CharsetBudget): string | undefined {
  const charset = charsetOf(label, budget);
  if (charset === undefined) return undefined;
  const text = charset.holdsAscii && octets.length <= SHORT ? asciiOf(octets) : undefined;
  return text ?? charset.decoder.decode(octets);
}

function charsetOf(label: string, budget: CharsetBudget | undefined): Charset | undefined {
  const met = known.get(label);
  if (met !== undefined || unknown.has(label)) return met;
  if (budget?.take(label) === false) return undefined;
  try {
    const decoder = new TextDecoder(label);
    const charset = { decoder, holdsAscii: !NOT_ASCII.has(decoder.encoding) };
    // INVARIANT (bounded): labels that exist are few; any spelling of them is not.
    if (known.size >= MAX_UNKNOWN) known.clear();
    known.set(label, charset);
    return charset;
  } catch {
    if (unknown.size >= MAX_UNKNOWN) unknown.clear();
    unknown.add(label);
    return undefined;
  }
}

function asciiOf(octets: Uint8Array): string | undefined {
  let text = '';
  for (const octet of octets) {
    if (octet > 127) return undefined;
    text += String.fromCharCode(octet);
  }
  return text;
}
