/**
 * Key records: TXT at `<selector>._domainkey.<domain>`. RFC 6376 s3.6.1, s6.1.2; RFC 8301 s3.2 (lengths); RFC 8463 (Ed25519).
 *
 * A key is refused for its length before anything is computed with it: what a verification may cost is decided here.
 */
import { createPublicKey, type KeyObject } from 'node:crypto';
import { valuesOf, type DnsReply } from './dns.js';
import type { KeyAlgorithm, Signature } from './dkim-signature.js';
import { base64Octets, readTags, type TagList } from './tag-list.js';

export interface VerifyingKey {
  readonly algorithm: KeyAlgorithm;
  readonly key: KeyObject;
  readonly bits?: number;
  /** `t=y`. */
  readonly testing: boolean;
  /** `t=s`: `i=` must be `d=` itself. */
  readonly strict: boolean;
}

export interface KeyFault {
  readonly ok: false;
  readonly result: 'policy' | 'permerror' | 'temperror';
  readonly why: string;
  readonly record?: string;
  readonly bits?: number;
}

export type FoundKey = { readonly ok: true; readonly key: VerifyingKey; readonly record: string } | KeyFault;

const MIN_RSA_BITS = 1024;
const MAX_RSA_BITS = 8192;
/** SubjectPublicKeyInfo of an RSA key of 8192 bits, with room for a large exponent. */
const MAX_KEY_BYTES = 1200;
const MAX_EXPONENT = 2n ** 64n;
const MAX_RECORD_CHARS = 4096;

/** The key for a signature, out of what the DNS has said. */
export function keyFor(
  signature: Pick<Signature, 'algorithm' | 'domain' | 'identityDomain'>,
  reply: DnsReply<string>,
): FoundKey {
  if (reply.kind === 'failed') return { ok: false, result: 'temperror', why: `key: ${reply.message}` };
  const records = valuesOf(reply).filter((text) => text.trim() !== '');
  const [record] = records;
  if (record === undefined) return { ok: false, result: 'permerror', why: 'there is no key' };
  if (records.length > 1) return { ok: false, result: 'permerror', why: 'there are several key records' };
  const shown = record.slice(0, MAX_RECORD_CHARS);
  if (record.length > MAX_RECORD_CHARS)
    return { ok: false, result: 'permerror', why: 'the key record is too long', record: shown };
  const read = knownKey(record);
  if (!read.ok) return { ...read, record };
  const { key } = read;
  if (key.algorithm !== signature.algorithm) {
    return { ok: false, result: 'permerror', why: 'the key is of another type than the signature', record };
  }
  if (key.strict && signature.identityDomain !== signature.domain) {
    return { ok: false, result: 'permerror', why: 'the key is not for domains below its own', record };
  }
  return { ok: true, key, record };
}

type ReadKey = { readonly ok: true; readonly key: VerifyingKey } | KeyFault;

/** A key is parsed once: that costs more than a verification. */
const known = new Map<string, ReadKey>();
const MAX_KNOWN = 1000;

function knownKey(record: string): ReadKey {
  const before = known.get(record);
  if (before !== undefined) return before;
  const read = readKey(record);
  const [oldest] = known.keys();
  if (known.size >= MAX_KNOWN && oldest !== undefined) known.delete(oldest);
  known.set(record, read);
  return read;
}

function readKey(record: string): ReadKey {
  const tags = readTags(record);
  if (tags === undefined) return permerror('the key record is no list of tags');
  const why = unfit(tags);
  if (why !== undefined) return permerror(why);
  const flags = listOf(tags.get('t') ?? '');
  const common = { testing: flags.includes('y'), strict: flags.includes('s') };
  const octets = base64Octets(tags.get('p') ?? '');
  if (octets === undefined) return permerror('`p=` is not base64');
  return (tags.get('k') ?? 'rsa').toLowerCase() === 'ed25519' ? ed25519Key(octets, common) : rsaKey(octets, common);
}

function permerror(why: string): KeyFault {
  return { ok: false, result: 'permerror', why };
}

function unfit(tags: TagList): string | undefined {
  const [first] = tags.keys();
  if (tags.has('v') && (first !== 'v' || tags.get('v') !== 'DKIM1')) return 'the key record is of another version';
  const type = (tags.get('k') ?? 'rsa').toLowerCase();
  if (type !== 'rsa' && type !== 'ed25519') return `keys of type \`${type.slice(0, 20)}\` are not known`;
  const hashes = tags.get('h');
  if (hashes !== undefined && !listOf(hashes).includes('sha256')) return 'the key is not for SHA-256';
  const services = tags.get('s');
  if (services !== undefined && !listOf(services).some((service) => service === '*' || service === 'email')) {
    return 'the key is not for mail';
  }
  if (!tags.has('p')) return 'the key record has no `p=`';
  return tags.get('p') === '' ? 'the key was revoked' : undefined;
}

function listOf(value: string): readonly string[] {
  return value.split(':').map((entry) => entry.trim().toLowerCase());
}

const ED25519_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');

function ed25519Key(octets: Buffer, common: Pick<VerifyingKey, 'testing' | 'strict'>): ReadKey {
  if (octets.length !== 32) return permerror('an Ed25519 key has 32 octets');
  const der = Buffer.concat([ED25519_PREFIX, octets]);
  return {
    ok: true,
    key: { algorithm: 'ed25519', key: createPublicKey({ key: der, format: 'der', type: 'spki' }), ...common },
  };
}

function rsaKey(octets: Buffer, common: Pick<VerifyingKey, 'testing' | 'strict'>): ReadKey {
  if (octets.length > MAX_KEY_BYTES)
    return { ok: false, result: 'policy', why: `the key has more than ${String(MAX_RSA_BITS)} bits` };
  const key = rsaPublicKey(octets);
  const { modulusLength: bits = 0, publicExponent = 0n } = key?.asymmetricKeyDetails ?? {};
  if (key === undefined || bits === 0) return permerror('`p=` is no RSA key');
  if (bits < MIN_RSA_BITS)
    return {
      ok: false,
      result: 'policy',
      why: `the key has ${String(bits)} bits, fewer than ${String(MIN_RSA_BITS)}`,
      bits,
    };
  if (bits > MAX_RSA_BITS)
    return {
      ok: false,
      result: 'policy',
      why: `the key has ${String(bits)} bits, more than ${String(MAX_RSA_BITS)}`,
      bits,
    };
  if (publicExponent > MAX_EXPONENT)
    return { ok: false, result: 'policy', why: 'the exponent of the key is too large', bits };
  return { ok: true, key: { algorithm: 'rsa', key, bits, ...common } };
}

/** As everybody publishes it, or as RFC 6376 s3.6.1 has it (erratum 3017). */
function rsaPublicKey(octets: Buffer): KeyObject | undefined {
  for (const type of ['spki', 'pkcs1'] as const) {
    try {
      const key = createPublicKey({ key: octets, format: 'der', type });
      if (key.asymmetricKeyType === 'rsa') return key;
    } catch {
      // Not in this form.
    }
  }
  return undefined;
}
