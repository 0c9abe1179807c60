/** DMARC records: text → what the owner of a domain asks. RFC 7489 s6.3, s6.4. */
import type { DmarcPolicy } from './results.js';
import { readTags } from './tag-list.js';

export interface DmarcRecord {
  readonly policy: DmarcPolicy;
  /** For domains below. */
  readonly subdomainPolicy: DmarcPolicy;
  readonly strictDkim: boolean;
  readonly strictSpf: boolean;
  /** `pct=0`, or `t=y` as its successor has it: the owner is only trying, and asks for one degree less. */
  readonly testing: boolean;
}

export type ReadDmarcRecord =
  { readonly ok: true; readonly record: DmarcRecord } | { readonly ok: false; readonly why: string };

const MAX_RECORD_CHARS = 4096;

/** RFC 7489 s6.4: the version comes first, and is compared exactly. */
export function isDmarcRecord(text: string): boolean {
  return /^v[ \t]*=[ \t]*DMARC1[ \t]*(?:;|$)/.test(text);
}

export function readDmarcRecord(text: string): ReadDmarcRecord {
  if (text.length > MAX_RECORD_CHARS) return { ok: false, why: `more than ${String(MAX_RECORD_CHARS)} characters` };
  const tags = readTags(text.replace(/(?:;\s*)+$/, ''));
  if (tags === undefined) return { ok: false, why: 'it is no list of tags' };
  const asked = policyOf(tags.get('p'));
  // RFC 7489 s6.6.3 step 6: without a policy that can be read it is one that only wants reports, if it does.
  if (asked === undefined && !/mailto:/i.test(tags.get('rua') ?? ''))
    return { ok: false, why: 'it has no `p=` that is known' };
  const policy = asked ?? 'none';
  return {
    ok: true,
    record: {
      policy,
      subdomainPolicy: policyOf(tags.get('sp')) ?? policy,
      strictDkim: tags.get('adkim')?.toLowerCase() === 's',
      strictSpf: tags.get('aspf')?.toLowerCase() === 's',
      testing: tags.get('pct') === '0' || tags.get('t')?.toLowerCase() === 'y',
    },
  };
}

function policyOf(text: string | undefined): DmarcPolicy | undefined {
  const word = text?.toLowerCase();
  return word === 'none' || word === 'quarantine' || word === 'reject' ? word : undefined;
}
