/**
 * DKIM-Signature and ARC-Message-Signature, read and checked as far as that goes without a key. RFC 6376 s3.5, s6.1.1;
 * RFC 8301; RFC 8617 s4.1.2.
 */
import type { BodyForm } from './canonical.js';
import { domainName, isWithin } from './domain-names.js';
import { fieldBody, type RawField } from './header-fields.js';
import type { DkimCheck } from './results.js';
import { base64Octets, readTags, withoutSpace, type TagList } from './tag-list.js';

export type KeyAlgorithm = 'rsa' | 'ed25519';

export interface Signature {
  readonly field: RawField;
  readonly algorithm: KeyAlgorithm;
  readonly headerForm: BodyForm;
  readonly bodyForm: BodyForm;
  readonly domain: string;
  readonly selector: string;
  /** Domain of `i=`, of `d=` where there is none. */
  readonly identityDomain: string;
  /** Names of `h=`, lower case, in its order. */
  readonly names: readonly string[];
  readonly bodyHash: Buffer;
  readonly signature: Buffer;
}

export type ReadSignature =
  | { readonly ok: true; readonly signature: Signature; readonly about: SignatureAbout }
  | {
      readonly ok: false;
      readonly about: SignatureAbout;
      readonly result: 'neutral' | 'policy' | 'permerror';
      readonly why: string;
    };

/** What can be told of it in any case. */
export type SignatureAbout = Pick<DkimCheck, 'domain' | 'selector' | 'identity' | 'algorithm' | 'signature'>;

export interface ReadOptions {
  readonly nowMs: number;
  /** ARC-Message-Signature: `i=` is a number, `v=` is absent, and seals can not be signed by it. */
  readonly arc?: boolean;
}

const SELECTOR = /^[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?)*$/i;
/** Clocks differ. */
const MAX_AGE_SKEW_MS = 300_000;
const MAX_NAMES = 1000;

export function readSignature(field: RawField, options: ReadOptions): ReadSignature {
  const tags = readTags(fieldBody(field));
  if (tags === undefined) {
    return { ok: false, about: { domain: '', selector: '' }, result: 'neutral', why: 'it is no list of tags' };
  }
  const about = aboutOf(tags, options);
  const fault = faultOf(tags, options);
  if (fault !== undefined) return { ok: false, about, ...fault };
  const identity = options.arc === true ? undefined : tags.get('i');
  const { domain } = about;
  const identityDomain = identity === undefined ? domain : domainName(identity.slice(identity.lastIndexOf('@') + 1));
  if (identityDomain === undefined || !isWithin(identityDomain, domain)) {
    return { ok: false, about, result: 'permerror', why: '`i=` is not within `d=`' };
  }
  return { ok: true, signature: signatureOf(field, tags, { ...about, identityDomain }), about };
}

function signatureOf(
  field: RawField,
  tags: TagList,
  { domain, selector, identityDomain }: SignatureAbout & { readonly identityDomain: string },
): Signature {
  const value = (name: string): string => tags.get(name) ?? '';
  const [headerForm, bodyForm] = value('c').toLowerCase().split('/');
  return {
    field,
    algorithm: value('a').toLowerCase() === 'rsa-sha256' ? 'rsa' : 'ed25519',
    headerForm: headerForm === 'relaxed' ? 'relaxed' : 'simple',
    bodyForm: bodyForm === 'relaxed' ? 'relaxed' : 'simple',
    domain,
    selector,
    identityDomain,
    names: namesOf(tags),
    bodyHash: base64Octets(value('bh')) ?? Buffer.alloc(0),
    signature: base64Octets(value('b')) ?? Buffer.alloc(0),
  };
}

function aboutOf(tags: TagList, { arc }: ReadOptions): SignatureAbout {
  const identity = arc === true ? undefined : tags.get('i');
  const algorithm = tags.get('a');
  const signature = withoutSpace(tags.get('b') ?? '').slice(0, 12);
  return {
    domain: domainName(tags.get('d') ?? '') ?? '',
    selector: (tags.get('s') ?? '').slice(0, 255),
    ...(identity !== undefined && { identity: identity.slice(0, 320) }),
    ...(algorithm !== undefined && { algorithm: algorithm.toLowerCase().slice(0, 64) }),
    ...(signature !== '' && { signature }),
  };
}

function namesOf(tags: TagList): readonly string[] {
  return withoutSpace(tags.get('h') ?? '')
    .toLowerCase()
    .split(':')
    .filter((name) => name !== '');
}

type Fault = Pick<Extract<ReadSignature, { ok: false }>, 'result' | 'why'>;

function faultOf(tags: TagList, options: ReadOptions): Fault | undefined {
  return (
    missing(tags) ??
    wrongForm(tags, options) ??
    notAccepted(tags) ??
    wrongNames(tags, options) ??
    wrongTime(tags, options)
  );
}

function neutral(why: string): Fault {
  return { result: 'neutral', why };
}

function missing(tags: TagList): Fault | undefined {
  const absent = ['a', 'b', 'bh', 'd', 'h', 's'].filter((name) => (tags.get(name) ?? '') === '');
  return absent.length === 0 ? undefined : neutral(`it has no \`${absent.join('=`, no `')}=\``);
}

const FORMS = /^(?:simple|relaxed)(?:\/(?:simple|relaxed))?$/i;

function wrongForm(tags: TagList, { arc }: ReadOptions): Fault | undefined {
  if (arc !== true && tags.get('v') !== '1') return neutral('its version is not 1');
  if (domainName(tags.get('d') ?? '') === undefined) return neutral('`d=` is no domain');
  if (!SELECTOR.test(tags.get('s') ?? '')) return neutral('`s=` is no selector');
  if (!FORMS.test(tags.get('c') ?? 'simple')) return neutral('`c=` is not known');
  if (!/(?:^|:)\s*dns\/txt\s*(?::|$)/i.test(tags.get('q') ?? 'dns/txt'))
    return neutral('`q=` does not offer `dns/txt`');
  return base64Octets(tags.get('b') ?? '') === undefined ? neutral('`b=` is not base64') : undefined;
}

/** RFC 8301 s3.1; and content behind the end of `l=` is anybody's (RFC 6376 s8.2). */
function notAccepted(tags: TagList): Fault | undefined {
  const algorithm = tags.get('a')?.toLowerCase();
  if (algorithm === 'rsa-sha1') return { result: 'policy', why: 'SHA-1 proves nothing' };
  if (algorithm !== 'rsa-sha256' && algorithm !== 'ed25519-sha256') return neutral('`a=` is not known');
  if (tags.has('l')) return { result: 'policy', why: '`l=` leaves the rest of the body to anybody' };
  return base64Octets(tags.get('bh') ?? '')?.length === 32 ? undefined : neutral('`bh=` is no SHA-256');
}

function wrongNames(tags: TagList, { arc }: ReadOptions): Fault | undefined {
  const names = namesOf(tags);
  if (names.length > MAX_NAMES) return neutral(`\`h=\` has more than ${String(MAX_NAMES)} names`);
  // RFC 6376 s5.4: From must be signed.
  if (!names.includes('from')) return { result: 'permerror', why: 'From is not signed' };
  if (arc === true && names.includes('arc-seal')) return neutral('`h=` names ARC-Seal');
  return undefined;
}

const SECONDS = /^\d{1,12}$/;

function wrongTime(tags: TagList, { nowMs }: ReadOptions): Fault | undefined {
  const [signed, expires] = [tags.get('t'), tags.get('x')];
  if (signed !== undefined && !SECONDS.test(signed)) return neutral('`t=` is no time');
  if (expires === undefined) return undefined;
  if (!SECONDS.test(expires)) return neutral('`x=` is no time');
  if (signed !== undefined && Number(expires) < Number(signed)) return neutral('it expires before it was made');
  return Number(expires) * 1000 + MAX_AGE_SKEW_MS < nowMs ? neutral('it has expired') : undefined;
}
