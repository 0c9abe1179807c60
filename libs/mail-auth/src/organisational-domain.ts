/** The domain that somebody has registered, by the Public Suffix List. RFC 7489 s3.2. */
import { getDomain } from 'tldts';

const OPTIONS = { allowPrivateDomains: true, validateHostname: false } as const;

/** Of a public suffix, and of a name that has none, the name itself. */
export function organisationalDomain(domain: string): string {
  return getDomain(domain, OPTIONS) ?? domain;
}
