/** Facts of the content: known after the final dot, the same for every recipient, fetched only where a rule asks. */
import type { FactDefinition } from './fact-definition.js';
import { MAIL_AUTH_FACTS } from './mail-auth-facts.js';

const domainLists = ['domain', 'regex'] as const;
const addressLists = ['address', 'regex'] as const;
const wordLists = ['word', 'regex'] as const;

export const CONTENT_FACTS: readonly FactDefinition[] = [
  {
    name: 'size',
    phase: 'message',
    type: 'size',
    lists: [],
    meaning: 'octets received as content',
    example: '{ above: 20MB }',
  },
  {
    name: 'from',
    phase: 'message',
    type: 'address',
    literal: 'address',
    lists: addressLists,
    multiple: true,
    meaning: 'every address in the From fields; unknown when one of them can not be read',
    example: 'ann@example.com',
  },
  {
    name: 'from.domain',
    phase: 'message',
    type: 'domain',
    literal: 'domain',
    lists: domainLists,
    multiple: true,
    derived: true,
    meaning: 'their domains',
    example: 'our-domains',
  },
  {
    name: 'from.count',
    phase: 'message',
    type: 'number',
    lists: [],
    meaning: 'number of addresses in the From fields; 0 when one of them can not be read',
    example: '{ not: 1 }',
  },
  {
    name: 'subject',
    phase: 'message',
    type: 'word',
    literal: 'word',
    lists: wordLists,
    multiple: true,
    meaning: 'Subject, decoded (RFC 2047); every one where there are several',
    example: 'bad-subjects',
  },
  {
    name: 'received',
    phase: 'message',
    type: 'number',
    lists: [],
    meaning: 'number of Received fields: hops before us',
    example: '{ above: 30 }',
  },
  {
    name: 'attachment.name',
    phase: 'message',
    type: 'word',
    literal: 'word',
    lists: wordLists,
    multiple: true,
    meaning: 'names of attachments, decoded (RFC 2231, RFC 2047); in forwarded messages too',
    example: 'bad-names',
  },
  {
    name: 'attachment.extension',
    phase: 'message',
    type: 'word',
    literal: 'word',
    lists: wordLists,
    multiple: true,
    meaning: 'what follows the last dot of those names, lower-case',
    example: '[exe, scr, js]',
  },
  {
    name: 'attachment.type',
    phase: 'message',
    type: 'word',
    literal: 'word',
    lists: wordLists,
    multiple: true,
    meaning: 'media types of attachments as declared, lower-case',
    example: '[application/x-msdownload]',
  },
  {
    name: 'attachment.size',
    phase: 'message',
    type: 'size',
    lists: [],
    multiple: true,
    meaning: 'octets of each attachment, decoded',
    example: '{ above: 10MB }',
  },
  ...MAIL_AUTH_FACTS,
];

/** Stands for the family `header.<name>`, one fact for every field name. */
export const HEADER_FACT: FactDefinition = {
  name: 'header.<name>',
  phase: 'message',
  type: 'word',
  literal: 'word',
  lists: wordLists,
  multiple: true,
  meaning: 'the fields of that name (compared without case), unfolded; absent when there is none',
  example: '[bulk]',
};

export const HEADER_PREFIX = 'header.';
/** RFC 5322 s2.2, at most 64 characters. */
export const HEADER_KEY_PATTERN = '^header\\.[!-9;-~]{1,64}$';
const HEADER_KEY = new RegExp(HEADER_KEY_PATTERN);

export function isHeaderKey(key: string): boolean {
  return HEADER_KEY.test(key);
}

const headerFacts = new Map<string, FactDefinition>();
const MAX_KNOWN = 10_000;

/** One definition per field name, whatever its case: definitions are compared by identity. */
export function headerFact(key: string): FactDefinition | undefined {
  if (!isHeaderKey(key)) return undefined;
  const name = key.toLowerCase();
  const known = headerFacts.get(name);
  if (known !== undefined) return known;
  if (headerFacts.size >= MAX_KNOWN) return undefined;
  const fact: FactDefinition = { ...HEADER_FACT, name, example: `${name}: [bulk]` };
  headerFacts.set(name, fact);
  return fact;
}
