/** Facts whose values have a form of their own, narrower than the type of list they are compared with. */
import type { FactDefinition } from '../vocabulary.js';

export interface Spelling {
  /** The form in which the gateway gives the value; undefined when it never would. */
  readonly read: (text: string) => string | undefined;
  /** What to write instead. */
  readonly expected: string;
  /** The entries must be known from the document alone. */
  readonly writtenOnly: boolean;
}

const SPELLINGS: Readonly<Record<string, Spelling>> = {
  'cert.fingerprint': {
    read: (text) => /^[0-9a-f]{64}$/.exec(text.replaceAll(':', '').toLowerCase())?.[0],
    expected: 'a SHA-256 fingerprint, 64 hexadecimal digits',
    writtenOnly: false,
  },
  auth: {
    read: (text) => (text === text.toLowerCase() ? text : undefined),
    expected: 'the name of an account, in lower case',
    writtenOnly: false,
  },
  dnsbl: {
    read: (text) => (text.startsWith('.') ? undefined : text),
    expected: 'the zones of DNS lists, written out',
    writtenOnly: true,
  },
};

export function spellingOf(fact: FactDefinition): Spelling | undefined {
  return Object.hasOwn(SPELLINGS, fact.name) ? SPELLINGS[fact.name] : undefined;
}
