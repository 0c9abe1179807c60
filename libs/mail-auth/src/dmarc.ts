/**
 * DMARC: is the domain that people see in From one that SPF or DKIM vouch for, and what does its owner ask if it is not?
 * RFC 7489 s3, s6.6. Organisational domains come from the Public Suffix List.
 *
 * A check that could not be made (temperror) and that might have passed leaves the result a temperror, never a `fail`, and
 * never a pass.
 *
 * Known gaps: `pct` between 1 and 99 is read as 100; `np=` (RFC 9091) is not looked at.
 */
import { valuesOf, type TextNames } from './dns.js';
import { isDmarcRecord, readDmarcRecord, type DmarcRecord } from './dmarc-record.js';
import { domainName } from './domain-names.js';
import { organisationalDomain } from './organisational-domain.js';
import type { DkimCheck, DmarcCheck, DmarcPolicy, SpfCheck } from './results.js';

/** Who wrote the message, as its header says: the domains of all addresses in all From fields. */
export interface Authors {
  /** From fields. */
  readonly fields: number;
  /** Of each address, lower-case A-labels; undefined when one of them can not be read. */
  readonly domains: readonly string[] | undefined;
}

export interface DmarcQuestion {
  readonly authors: Authors;
  readonly spf: SpfCheck | undefined;
  readonly dkim: readonly DkimCheck[];
}

export async function checkDmarc(question: DmarcQuestion, dns: TextNames): Promise<DmarcCheck> {
  const author = oneDomain(question.authors);
  if (!author.ok) return { result: 'permerror', domain: '', organisationalDomain: '', aligned: [], why: author.why };
  const { domain } = author;
  const names = { domain, organisationalDomain: organisationalDomain(domain) };
  const found = await discover(names, dns);
  const alignment = alignmentOf(question, names, found.record);
  const about = {
    ...names,
    aligned: alignment.passed,
    ...(found.text !== undefined && { record: found.text, recordDomain: found.at }),
  };
  if (found.record === undefined) return { ...about, result: found.result, why: found.why };
  const policy = policyFor(found.record, found.at === domain);
  if (alignment.passed.length > 0) return { ...about, policy, result: 'pass' };
  if (alignment.open !== undefined) return { ...about, policy, result: 'temperror', why: alignment.open };
  return { ...about, policy, result: 'fail', why: `neither SPF nor DKIM vouches for ${domain}` };
}

type OneDomain = { readonly ok: true; readonly domain: string } | { readonly ok: false; readonly why: string };

/** RFC 7489 s6.6.1: mail with no author, or with authors of several domains, is nobody's to vouch for. */
function oneDomain({ fields, domains }: Authors): OneDomain {
  if (fields !== 1) return { ok: false, why: `there are ${String(fields)} From fields, not one` };
  if (domains === undefined) return { ok: false, why: 'an address in From can not be read' };
  const [first, ...others] = new Set(domains);
  if (first === undefined) return { ok: false, why: 'there is no address in From' };
  if (others.length > 0) return { ok: false, why: 'From has addresses of several domains' };
  const domain = domainName(first);
  return domain === undefined ? { ok: false, why: 'From has no domain name' } : { ok: true, domain };
}

interface Names {
  readonly domain: string;
  readonly organisationalDomain: string;
}

interface Discovered {
  readonly record?: DmarcRecord;
  readonly text?: string;
  readonly at: string;
  readonly result: 'none' | 'permerror' | 'temperror';
  readonly why: string;
}

/** RFC 7489 s6.6.3. */
async function discover({ domain, organisationalDomain: above }: Names, dns: TextNames): Promise<Discovered> {
  for (const at of new Set([domain, above])) {
    const reply = await dns.txt(`_dmarc.${at}`);
    if (reply.kind === 'failed') return { at, result: 'temperror', why: `DMARC record of ${at}: ${reply.message}` };
    const records = valuesOf(reply).filter(isDmarcRecord);
    const [text] = records;
    if (text === undefined) continue;
    if (records.length > 1) return { at, result: 'permerror', why: `${at} has several DMARC records` };
    const read = readDmarcRecord(text);
    if (!read.ok)
      return { at, text: text.slice(0, 1000), result: 'permerror', why: `DMARC record of ${at}: ${read.why}` };
    return { at, text, record: read.record, result: 'none', why: '' };
  }
  return { at: domain, result: 'none', why: `neither ${domain} nor what is above it has a DMARC record` };
}

interface Alignment {
  readonly passed: readonly ('spf' | 'dkim')[];
  /** Why a check that might have passed could not be made. */
  readonly open: string | undefined;
}

/** RFC 7489 s3.1. */
function alignmentOf({ spf, dkim }: DmarcQuestion, names: Names, record: DmarcRecord | undefined): Alignment {
  const spfDomain = spf !== undefined && isAligned(spf.domain, names, record?.strictSpf === true) ? spf : undefined;
  const signatures = dkim.filter(({ domain }) => isAligned(domain, names, record?.strictDkim === true));
  const passed = [
    ...(spfDomain?.result === 'pass' ? ['spf' as const] : []),
    ...(signatures.some(({ result }) => result === 'pass') ? ['dkim' as const] : []),
  ];
  const open = [spfDomain, ...signatures].find((check) => check?.result === 'temperror');
  return { passed, open: open === undefined ? undefined : (open.why ?? 'a look-up failed') };
}

function isAligned(identifier: string, { domain, organisationalDomain: above }: Names, strict: boolean): boolean {
  if (identifier === '') return false;
  return strict ? identifier === domain : organisationalDomain(identifier) === above;
}

const MILDER: Readonly<Record<DmarcPolicy, DmarcPolicy>> = { reject: 'quarantine', quarantine: 'none', none: 'none' };

function policyFor({ policy, subdomainPolicy, testing }: DmarcRecord, isOwn: boolean): DmarcPolicy {
  const asked = isOwn ? policy : subdomainPolicy;
  return testing ? MILDER[asked] : asked;
}
