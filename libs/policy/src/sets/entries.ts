/** Entries of lists as people write them → canonical text, per type of list. */
import type { ListType } from '../types.js';
import { parseAddress } from '../values/addresses.js';
import { parseDomainEntry } from '../values/domains.js';
import { parseNetwork, printNetwork } from '../values/networks.js';

export type PlainListType = Exclude<ListType, 'regex'>;

export type EntryResult =
  | { readonly ok: true; readonly value: string }
  | { readonly ok: false; readonly message: string; readonly fix?: string };

const MAX_WORD = 255;

function parseWord(text: string): EntryResult {
  const word = text.normalize('NFC').toLowerCase();
  if (word.trim() !== word || word.length > MAX_WORD || /\p{Cc}/u.test(word)) {
    return {
      ok: false,
      message: `\`${text}\` is not a word, expected at most ${String(MAX_WORD)} printable characters without space around them`,
    };
  }
  return { ok: true, value: word };
}

/** Canonical form: the form in which entries are stored, compared and shown. */
export function parseEntry(type: PlainListType, text: string): EntryResult {
  switch (type) {
    case 'address': {
      const result = parseAddress(text, true);
      return result.ok ? { ok: true, value: result.address } : result;
    }
    case 'domain': {
      const result = parseDomainEntry(text);
      return result.ok ? { ok: true, value: result.domain } : result;
    }
    case 'network': {
      const result = parseNetwork(text);
      return result.ok ? { ok: true, value: printNetwork(result.network) } : result;
    }
    case 'word':
      return parseWord(text);
  }
}
