/** What is known of a fact beforehand: its name, type, phase, and what it may be compared with. */
import type { ListType, Phase } from './types.js';

/**
 * - `network`: an IP address, compared with networks       - `domain`: a host or domain name, lower-case A-labels
 * - `address`: a mail address                              - `word`: text, compared without case
 * - `enum`: one of the words in `values`                   - `name`: the name of something in the document (`names`)
 * - `number`, `size` (octets), `boolean`, `time` (RFC 3339)
 */
export type FactType =
  'network' | 'domain' | 'address' | 'word' | 'enum' | 'name' | 'number' | 'size' | 'boolean' | 'time';

export interface FactDefinition {
  readonly name: string;
  /** First phase in which the fact is known. */
  readonly phase: Phase;
  readonly type: FactType;
  /** For facts that are compared with lists: the type of literals. */
  readonly literal?: 'network' | 'domain' | 'address' | 'word';
  /** Types of list that it may be compared with. */
  readonly lists: readonly ListType[];
  /** For `enum`. */
  readonly values?: readonly string[];
  /** For `name`: what it is a name of. */
  readonly names?: 'listener' | 'client' | 'tag';
  /** Several values at once: a condition holds when some value is in the set, `{ all: x }` when every one is. */
  readonly multiple?: boolean;
  /** `any` may be written for every value there can be. */
  readonly any?: boolean;
  /** Values compare exactly, and those that can be written are in lower case. */
  readonly exact?: boolean;
  /** Real sessions exist in which there is no value. */
  readonly mayBeAbsent?: boolean;
  /** Found out by a look-up that takes time and can fail: fetched only where some rule or `settings.facts` asks. */
  readonly fetched?: boolean;
  /** Recorded, and given in tests, but no condition asks for it: a grant looks at it. */
  readonly evidence?: boolean;
  /** Made by the evaluator from other facts; the gateway does not feed it. */
  readonly derived?: boolean;
  readonly meaning: string;
  readonly example: string;
}
