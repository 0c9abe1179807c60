/**
 * A set of ARC fields of our own, on top of those that are there: what we found out about the message, and the message as it
 * leaves us, sealed together with the chain so far. RFC 8617 s4.1, s5.1.
 *
 * Whether the chain so far is valid is found out elsewhere (`arc` in `results.ts`) before anything is changed.
 */
import { relaxedField } from './canonical.js';
import { bodyAndNames, fieldsToSign, secondsOf, signedField, signedHeader } from './dkim-sign.js';
import type { ContentToSign, Signer } from './dkim-sign.js';
import { foldField } from './fold.js';
import { fieldBody, rawField, type RawField } from './header-fields.js';

/** RFC 8617 s4.2.1. */
const MAX_INSTANCE = 50;
/** In the order in which a seal covers them. RFC 8617 s5.1.1. */
const KINDS = ['arc-authentication-results', 'arc-message-signature', 'arc-seal'] as const;

export interface ArcSealing {
  readonly signer: Signer;
  /** Of the chain as it came: `none` without one. */
  readonly chainValidation: 'none' | 'pass' | 'fail';
  /** Authentication-Results in one line, the authserv-id in front. */
  readonly authenticationResults: string;
}

export type ArcSealResult =
  | { readonly ok: true; readonly instance: number; /** The three fields, each with its CRLF. */ readonly text: string }
  /** There is nothing to be sealed any more. */
  | { readonly ok: false; readonly why: string };

/** Fields of the chain that are there, by instance; whatever cannot be read is left out. */
export function arcSets(fields: readonly RawField[]): ReadonlyMap<number, ReadonlyMap<string, RawField>> {
  const sets = new Map<number, Map<string, RawField>>();
  for (const field of fields) {
    if (!KINDS.some((kind) => kind === field.name)) continue;
    const instance = instanceOf(field);
    if (instance === undefined) continue;
    const set = sets.get(instance) ?? new Map<string, RawField>();
    set.set(field.name, field);
    sets.set(instance, set);
  }
  return sets;
}

function instanceOf(field: RawField): number | undefined {
  const digits = /(?:^|;)\s*i\s*=\s*0*(\d{1,3})\s*(?:;|$)/.exec(fieldBody(field))?.[1];
  return digits === undefined ? undefined : Number(digits);
}

export async function arcSeal(content: ContentToSign, sealing: ArcSealing): Promise<ArcSealResult> {
  const sets = arcSets(content.fields);
  const newest = Math.max(0, ...sets.keys());
  const instance = newest + 1;
  const lastSeal = sets.get(newest)?.get('arc-seal');
  if (lastSeal !== undefined && /(?:^|;)\s*cv\s*=\s*fail\s*(?:;|$)/i.test(fieldBody(lastSeal))) {
    return { ok: false, why: 'the chain was sealed as failed before' };
  }
  if (instance > MAX_INSTANCE) return { ok: false, why: `the chain has ${String(newest)} sets already` };
  const results = foldField(
    'ARC-Authentication-Results',
    `i=${String(instance)}; ${sealing.authenticationResults.replace(/[^ -~]/g, '?')}`,
  );
  const message = await messageSignature(content, sealing.signer, instance);
  const own = [results, message].map((text) => rawField(text.slice(0, -2)));
  const chain = sealing.chainValidation === 'fail' ? [] : covered(sets, newest);
  const seal = await sealField(content, sealing, { instance, text: linesOf([...chain, ...own]) });
  return { ok: true, instance, text: `${seal}${message}${results}` };
}

function messageSignature(content: ContentToSign, signer: Signer, instance: number): Promise<string> {
  // RFC 8617 s4.1.2: signatures that are there are covered; Authentication-Results and ARC fields are not.
  const signatures = content.fields.flatMap(({ name }) => (name === 'dkim-signature' ? [name] : []));
  const names = [...fieldsToSign(content.fields), ...signatures];
  const { key, domain, selector } = signer;
  const tags = [
    `i=${String(instance)}`,
    `a=${key.algorithm}`,
    'c=relaxed/relaxed',
    `d=${domain}`,
    `s=${selector}`,
    `t=${secondsOf(content.atMs)}`,
    ...bodyAndNames(content.bodyHash, names),
  ];
  return signedField({ name: 'ARC-Message-Signature', tags }, signedHeader(content.fields, names), key);
}

function sealField(
  { atMs }: ContentToSign,
  { signer, chainValidation }: ArcSealing,
  set: { readonly instance: number; readonly text: string },
): Promise<string> {
  const tags = [
    `i=${String(set.instance)}`,
    `a=${signer.key.algorithm}`,
    `t=${secondsOf(atMs)}`,
    `cv=${chainValidation}`,
    `d=${signer.domain}`,
    `s=${signer.selector}`,
  ];
  return signedField({ name: 'ARC-Seal', tags }, set.text, signer.key);
}

/** RFC 8617 s5.1.2: a failed chain is not covered; the seal then stands for its own set only. */
function covered(sets: ReturnType<typeof arcSets>, newest: number): readonly RawField[] {
  return Array.from({ length: newest }, (_, index) => sets.get(index + 1)).flatMap((set) =>
    KINDS.flatMap((kind) => set?.get(kind) ?? []),
  );
}

function linesOf(fields: readonly RawField[]): string {
  return fields.map((field) => `${relaxedField(field)}\r\n`).join('');
}
