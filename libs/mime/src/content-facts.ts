/**
 * What the scanner saw of the content → facts by the names that the policy language has for them, those that are asked for
 * and no others. How an address is written in full is the caller's to say.
 */
import { extensionsOf } from './attachment.js';
import { decodeWords } from './encoded-words.js';
import type { HeaderField } from './fields.js';
import { readMailboxes } from './mailboxes.js';
import type { ScanReport } from './structure-scanner.js';

export type ContentFact = string | number | readonly string[] | readonly number[] | { readonly unknown: string };

/** Of all values of a fact together: they are recorded with the transaction. */
const MAX_FACT_CHARS = 65_536;
const MAX_MAILBOXES = 1000;
const HEADER_PREFIX = 'header.';
const TOO_MUCH: ContentFact = { unknown: 'mime.limit' };

export interface ScannedContent {
  readonly report: ScanReport;
  /** Octets received. */
  readonly sizeBytes: number;
  /** The address as the policy language writes it; undefined when it is none. */
  readonly readAddress: (written: string) => string | undefined;
}

/** `size` is always among them: that content was judged can be told by it. */
export function contentFacts(
  wanted: ReadonlySet<string>,
  scanned: ScannedContent,
): Readonly<Record<string, ContentFact>> {
  const facts: Record<string, ContentFact> = { size: scanned.sizeBytes };
  for (const name of wanted) {
    const isMadeElsewhere = name === 'size' || name === 'from.domain';
    const value = isMadeElsewhere ? undefined : valueOf(name, scanned);
    if (value !== undefined) facts[name] = bounded(value);
  }
  // Domains follow from the addresses, which therefore have to be recorded.
  if (wanted.has('from.domain') && !('from' in facts)) {
    const from = valueOf('from', scanned);
    if (from !== undefined) facts['from'] = bounded(from);
  }
  return facts;
}

/** Undefined: absent. */
function valueOf(name: string, scanned: ScannedContent): ContentFact | undefined {
  return name.startsWith('attachment.') ? attachmentFact(name, scanned.report) : headerFact(name, scanned);
}

function attachmentFact(name: string, { attachments }: ScanReport): ContentFact | undefined {
  if ('fault' in attachments) return { unknown: attachments.fault };
  switch (name) {
    case 'attachment.name':
      return manyOrAbsent(attachments.flatMap(({ names }) => names));
    case 'attachment.extension':
      return manyOrAbsent(attachments.flatMap(({ names }) => names.flatMap(extensionsOf)));
    case 'attachment.type':
      return manyOrAbsent(attachments.map(({ type }) => type));
    case 'attachment.size':
      return attachments.length === 0 ? undefined : attachments.map(({ sizeBytes }) => sizeBytes);
    default:
      throw new Error(`no reader for the fact ${name}`);
  }
}

function headerFact(name: string, { report: { header }, readAddress }: ScannedContent): ContentFact | undefined {
  if (header === undefined) return TOO_MUCH;
  const { fields } = header;
  if (name.startsWith(HEADER_PREFIX)) return manyOrAbsent(valuesOf(fields, name.slice(HEADER_PREFIX.length)));
  switch (name) {
    case 'from':
    case 'from.count':
      return fromFact(name, valuesOf(fields, 'from'), readAddress);
    case 'subject':
      return manyOrAbsent(valuesOf(fields, 'subject').map(decodeWords));
    case 'received':
      return valuesOf(fields, 'received').length;
    default:
      throw new Error(`no reader for the fact ${name}`);
  }
}

function fromFact(
  name: string,
  fields: readonly string[],
  readAddress: ScannedContent['readAddress'],
): ContentFact | undefined {
  const addresses: string[] = [];
  let isMalformed = false;
  for (const field of fields) {
    const mailboxes = readMailboxes(field, MAX_MAILBOXES);
    if (mailboxes === undefined || addresses.length > MAX_MAILBOXES) return TOO_MUCH;
    isMalformed ||= mailboxes.malformed;
    for (const written of mailboxes.addresses) {
      const address = readAddress(written);
      if (address === undefined) isMalformed = true;
      else addresses.push(address);
    }
  }
  if (name === 'from.count') return isMalformed ? 0 : addresses.length;
  return isMalformed ? { unknown: 'an address in From can not be read' } : manyOrAbsent(addresses);
}

function valuesOf(fields: readonly HeaderField[], name: string): readonly string[] {
  return fields.flatMap((field) => (field.name === name ? [field.value] : []));
}

function manyOrAbsent(values: readonly string[]): ContentFact | undefined {
  return values.length === 0 ? undefined : [...new Set(values)];
}

function bounded(value: ContentFact): ContentFact {
  if (!Array.isArray(value)) return value;
  const texts: readonly unknown[] = value;
  const total = texts.reduce<number>((sum, text) => sum + (typeof text === 'string' ? text.length : 8), 0);
  return total > MAX_FACT_CHARS ? TOO_MUCH : value;
}
