/** Results of checks → facts. A check that could not be made is unknown, with the reason; it is never anything else. */
import type { RecordedMailAuth } from '#audit';
import type { ArcCheck, Authors, ContentResults, DkimCheck, DmarcCheck, MailAuthResults, SpfCheck } from '#mail-auth';
import { readMailboxes, type ScanReport } from '#mime';
import { parseAddress, type CompiledPolicy, type Facts, type FactValue } from '#policy';

const DKIM_FACTS = ['dkim', 'dkim.domain'];
const ARC_FACTS = ['arc', 'arc.sealer'];
const DMARC_FACTS = ['dmarc', 'dmarc.policy', 'from.aligned'];
const CONTENT_FACTS: ReadonlySet<string> = new Set([...DKIM_FACTS, ...ARC_FACTS, ...DMARC_FACTS]);

export interface MailAuthNeeds {
  /** `now`: a rule of MAIL or RCPT may ask for it. `later`: only DMARC does. */
  readonly spf: 'now' | 'later' | 'no';
  readonly content: boolean;
  readonly dmarc: boolean;
}

/** What a policy asks for, of the facts it needs from MAIL on. */
export function mailAuthNeeds(policy: CompiledPolicy): MailAuthNeeds {
  const known = needsOf.get(policy);
  if (known !== undefined) return known;
  const needs = readNeeds(policy);
  needsOf.set(policy, needs);
  return needs;
}

/** Asked at every MAIL. */
const needsOf = new WeakMap<CompiledPolicy, MailAuthNeeds>();

function readNeeds({ neededFacts: { mail } }: CompiledPolicy): MailAuthNeeds {
  const asksOne = (names: readonly string[]): boolean => names.some((name) => mail.has(name));
  const dmarc = asksOne(DMARC_FACTS);
  return {
    spf: mail.has('spf') ? 'now' : dmarc ? 'later' : 'no',
    content: dmarc || asksOne(DKIM_FACTS) || asksOne(ARC_FACTS),
    dmarc,
  };
}

/** Whether the fact is one of those that checks of the content give. */
export function isContentAuthFact(name: string): boolean {
  return CONTENT_FACTS.has(name);
}

export function spfFact({ result, domain, why = 'not known' }: SpfCheck): FactValue {
  return result === 'temperror' ? { unknown: `SPF of ${domain}: ${why}` } : result;
}

export interface CheckedMail {
  readonly content: ContentResults;
  readonly dmarc: DmarcCheck | undefined;
}

/** Those that are wanted. */
export function contentAuthFacts(wanted: ReadonlySet<string>, { content, dmarc }: CheckedMail): Facts {
  const facts: Record<string, FactValue | undefined> = content.ok
    ? { ...dkimFacts(content.dkim), ...arcFacts(content.arc), ...(dmarc !== undefined && dmarcFacts(dmarc)) }
    : Object.fromEntries([...CONTENT_FACTS].map((name) => [name, { unknown: content.why }]));
  const known = Object.entries(facts).flatMap(([name, value]) =>
    wanted.has(name) && value !== undefined ? [[name, value] as const] : [],
  );
  return Object.fromEntries(known);
}

const NOT_CHECKED = { unknown: 'it was not checked when the message came' };

/** Facts that are wanted of a message whose checks were made when it came: the evidence of then, told anew. */
export function recordedAuthFacts(policy: CompiledPolicy, recorded: RecordedMailAuth | undefined): Facts {
  // Written by `evidenceOf`.
  const { spf, dkim, arc, dmarc } = (recorded ?? {}) as MailAuthResults;
  const asksSpf = policy.neededFacts.mail.has('spf');
  const wanted = new Set([...(policy.contentFacts ?? [])].filter(isContentAuthFact));
  const known = dkim !== undefined && arc !== undefined;
  const content: ContentResults = known ? { ok: true, dkim, arc } : { ok: false, why: NOT_CHECKED.unknown };
  const noDmarc = DMARC_FACTS.filter((name) => dmarc === undefined && wanted.has(name));
  return {
    ...(asksSpf && { spf: spf === undefined ? NOT_CHECKED : spfFact(spf) }),
    ...contentAuthFacts(wanted, { content, dmarc }),
    ...Object.fromEntries(noDmarc.map((name) => [name, NOT_CHECKED])),
  };
}

const DKIM_VALUES = ['pass', 'fail', 'policy', 'neutral', 'permerror'];

function dkimFacts(checks: readonly DkimCheck[]): Record<string, FactValue | undefined> {
  const open = checks.filter(({ result }) => result === 'temperror');
  const values = [...new Set(checks.flatMap(({ result }) => (result === 'temperror' ? [] : [result])))];
  const passed = [...new Set(checks.flatMap(({ result, domain }) => (result === 'pass' ? [domain] : [])))];
  if (open.length > 0) {
    const why = open.map(({ domain, why: reason = 'not known' }) => `DKIM of ${domain}: ${reason}`).join('; ');
    const among = [...new Set(open.map(({ domain }) => domain))];
    return {
      dkim: { unknown: why, values, among: DKIM_VALUES },
      'dkim.domain': { unknown: why, values: passed, among },
    };
  }
  return { dkim: values.length === 0 ? ['none'] : values, 'dkim.domain': passed.length === 0 ? undefined : passed };
}

function arcFacts({ result, sealers, why = 'not known' }: ArcCheck): Record<string, FactValue | undefined> {
  const newest = sealers.at(-1);
  if (result === 'temperror') {
    const unknown = `ARC: ${why}`;
    return { arc: { unknown }, 'arc.sealer': { unknown, among: newest === undefined ? [] : [newest] } };
  }
  // A chain that does not hold has no sealer that could be believed.
  return { arc: result, 'arc.sealer': result === 'pass' ? newest : undefined };
}

function dmarcFacts({ result, policy, aligned, why = 'not known' }: DmarcCheck): Record<string, FactValue | undefined> {
  const unknown = { unknown: `DMARC: ${why}` };
  const isOpen = result === 'temperror';
  return {
    dmarc: isOpen ? unknown : result,
    'dmarc.policy': isOpen && policy === undefined ? unknown : policy,
    'from.aligned': isOpen ? { ...unknown, values: aligned, among: ['spf', 'dkim'] } : absentIfEmpty(aligned),
  };
}

function absentIfEmpty(values: readonly string[]): FactValue | undefined {
  return values.length === 0 ? undefined : values;
}

const MAX_MAILBOXES = 1000;

/** Who wrote the message, as From says; undefined when the header could not be read. */
export function authorsOf({ header }: ScanReport): Authors | undefined {
  if (header === undefined) return undefined;
  const fields = header.fields.filter(({ name }) => name === 'from');
  const domains: string[] = [];
  for (const { value } of fields) {
    const mailboxes = readMailboxes(value, MAX_MAILBOXES);
    if (mailboxes === undefined || mailboxes.malformed) return { fields: fields.length, domains: undefined };
    for (const written of mailboxes.addresses) {
      const parsed = parseAddress(written);
      if (!parsed.ok) return { fields: fields.length, domains: undefined };
      domains.push(parsed.address.slice(parsed.address.lastIndexOf('@') + 1));
    }
  }
  return { fields: fields.length, domains };
}

/** Evidence of all checks that were made; undefined when none was. */
export function evidenceOf(spf: SpfCheck | undefined, checked: CheckedMail | undefined): MailAuthResults | undefined {
  if (spf === undefined && checked === undefined) return undefined;
  return {
    ...(spf !== undefined && { spf }),
    ...(checked?.content.ok === true && { dkim: checked.content.dkim, arc: checked.content.arc }),
    ...(checked?.dmarc !== undefined && { dmarc: checked.dmarc }),
  };
}
