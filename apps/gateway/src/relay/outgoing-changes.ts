/** What was decided about mail that leaves → the changes that are stored with it. */
import type { FieldEdit, HeaderChange } from '#delivery';
import type { SigningKeyUse } from '#policy';

/** Undefined: it leaves as it came. */
export function outgoingChanges(
  headers: readonly FieldEdit[] | undefined,
  signatures: readonly SigningKeyUse[] | undefined,
): readonly HeaderChange[] | undefined {
  if (signatures === undefined) return headers;
  return [...(headers ?? []), ...signatures.map((signature) => ({ op: 'sign' as const, ...signature }))];
}

/** `example.com/s1`: as policies name them. */
export function signatureNames(signatures: readonly SigningKeyUse[]): readonly string[] {
  return signatures.map(({ domain, selector }) => `${domain}/${selector}`);
}
