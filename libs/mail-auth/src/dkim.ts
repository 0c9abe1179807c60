/**
 * DKIM: do the signatures of a message hold? RFC 6376 s6, RFC 8301, RFC 8463.
 *
 * The body is hashed while it comes in, once for each form; keys are asked for all at once. At most 10 signatures are looked
 * at; that there were more is a result of its own.
 */
import type { BodyForm } from './canonical.js';
import { keyFor } from './dkim-key.js';
import { readSignature, type ReadSignature, type Signature, type SignatureAbout } from './dkim-signature.js';
import type { TextNames } from './dns.js';
import type { RawField } from './header-fields.js';
import type { DkimCheck } from './results.js';
import { fits, withoutSignature, type SignedFields } from './signed-octets.js';

export const MAX_SIGNATURES = 10;

export interface ReadSignatures {
  readonly signatures: readonly ReadSignature[];
  /** Those beyond `MAX_SIGNATURES`. */
  readonly passedOver: number;
}

export function readSignatures(fields: readonly RawField[], nowMs: number): ReadSignatures {
  const all = fields.filter(({ name }) => name === 'dkim-signature');
  return {
    signatures: all.slice(0, MAX_SIGNATURES).map((field) => readSignature(field, { nowMs })),
    passedOver: Math.max(0, all.length - MAX_SIGNATURES),
  };
}

/** What is needed of the message to verify a signature. */
export interface SignedMessage {
  readonly fields: SignedFields;
  /** Hash of the body in that form. */
  bodyHash(form: BodyForm): Buffer;
}

export async function verifySignatures(
  { signatures, passedOver }: ReadSignatures,
  message: SignedMessage,
  keys: TextNames,
): Promise<readonly DkimCheck[]> {
  const checks = await Promise.all(
    signatures.map(async (read): Promise<DkimCheck> => {
      if (read.ok) return verifySignature(read.signature, read.about, { message, keys });
      return { ...read.about, result: read.result, why: read.why };
    }),
  );
  if (passedOver === 0) return checks;
  const why = `${String(passedOver)} more signatures were not looked at`;
  return [...checks, { result: 'policy', domain: '', selector: '', why }];
}

export interface VerifyWith {
  readonly message: SignedMessage;
  readonly keys: TextNames;
}

export async function verifySignature(
  signature: Signature,
  about: SignatureAbout,
  { message, keys }: VerifyWith,
): Promise<DkimCheck> {
  if (!message.bodyHash(signature.bodyForm).equals(signature.bodyHash)) {
    return { ...about, result: 'fail', why: 'the body is not the one that was signed' };
  }
  const reply = await keys.txt(`${signature.selector}._domainkey.${signature.domain}`.toLowerCase());
  const found = keyFor(signature, reply);
  if (!found.ok) {
    const { result, why, record, bits } = found;
    return {
      ...about,
      result,
      why,
      ...(record !== undefined && { record }),
      ...(bits !== undefined && { keyBits: bits }),
    };
  }
  const { key, record } = found;
  const evidence = {
    ...about,
    record,
    ...(key.bits !== undefined && { keyBits: key.bits }),
    ...(key.testing && { testing: true as const }),
  };
  const { headerForm, names, field } = signature;
  const text = message.fields.text(names, headerForm) + withoutSignature(field, headerForm);
  if (fits(text, signature.signature, key)) return { ...evidence, result: 'pass' };
  return { ...evidence, result: 'fail', why: 'the header is not the one that was signed, or the key is another' };
}
