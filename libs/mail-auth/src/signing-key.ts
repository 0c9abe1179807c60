/**
 * Keys that mail is signed with: RSA of at least 2048 bits (RFC 8301 s3.2) and Ed25519 (RFC 8463), as PEM, and what stands of
 * them in the DNS (RFC 6376 s3.6.1).
 */
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';

export type SigningAlgorithm = 'rsa-sha256' | 'ed25519-sha256';

export interface SigningKey {
  readonly algorithm: SigningAlgorithm;
  readonly key: KeyObject;
  /** Of an RSA key. */
  readonly bits?: number;
}

export type SigningKeyResult =
  { readonly ok: true; readonly key: SigningKey } | { readonly ok: false; readonly message: string };

const MIN_RSA_BITS = 2048;
/** Verifiers need not take larger ones (RFC 6376 s3.3.3), and hardly any does. */
const MAX_RSA_BITS = 4096;
const EXPECTED = 'expected an RSA key of 2048 to 4096 bits or an Ed25519 key, unencrypted, as PEM';

/** Never throws, and never tells anything of the value. */
export function readSigningKey(pem: string): SigningKeyResult {
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch {
    return { ok: false, message: `is no private key, ${EXPECTED}` };
  }
  if (key.asymmetricKeyType === 'ed25519') return { ok: true, key: { algorithm: 'ed25519-sha256', key } };
  if (key.asymmetricKeyType !== 'rsa') {
    return { ok: false, message: `is a key of type \`${key.asymmetricKeyType ?? 'unknown'}\`, ${EXPECTED}` };
  }
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
  if (bits < MIN_RSA_BITS || bits > MAX_RSA_BITS) {
    return { ok: false, message: `is an RSA key of ${String(bits)} bits, ${EXPECTED}` };
  }
  return { ok: true, key: { algorithm: 'rsa-sha256', key, bits } };
}

/** The TXT record that publishes it, in one text: `v=DKIM1; k=rsa; p=…`. */
export function keyRecord({ algorithm, key }: SigningKey): string {
  const der = createPublicKey(key).export({ type: 'spki', format: 'der' });
  if (algorithm === 'rsa-sha256') return `v=DKIM1; k=rsa; p=${der.toString('base64')}`;
  // RFC 8463 s4.2: the 32 octets of the key alone; they stand at the end of the SubjectPublicKeyInfo.
  return `v=DKIM1; k=ed25519; p=${der.subarray(-32).toString('base64')}`;
}

/** Where the record stands. */
export function keyRecordName(domain: string, selector: string): string {
  return `${selector}._domainkey.${domain}`;
}
