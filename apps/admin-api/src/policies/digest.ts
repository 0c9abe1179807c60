import { createHash } from 'node:crypto';

/** Digest of a policy's source, as revisions carry it. */
export function policyDigest(source: string): string {
  return `sha256:${createHash('sha256').update(source, 'utf8').digest('hex')}`;
}
