/** Domain names as checks compare them: lower-case A-labels without a final dot. RFC 1035 s2.3.4, RFC 5890. */
import { toASCII } from 'tr46';

const LABEL = '[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?';
const NAME = new RegExp(`^(?=.{1,253}$)${LABEL}(?:\\.${LABEL})+$`);
const PLAIN = /^[a-z0-9_.-]*$/;

/**
 * A name with at least two labels, as it can be looked up; undefined for anything else. Underscores are allowed, as names
 * of DNS records have them.
 */
export function domainName(raw: string): string | undefined {
  const lower = raw.toLowerCase();
  const name = lower.endsWith('.') ? lower.slice(0, -1) : lower;
  if (PLAIN.test(name)) return NAME.test(name) ? name : undefined;
  if (name.length > 253) return undefined;
  const ascii = toASCII(name, { checkBidi: true, checkHyphens: false, verifyDNSLength: true });
  return ascii !== null && NAME.test(ascii) ? ascii : undefined;
}

/** Whether `name` is `domain` or below it. Both lower-case. */
export function isWithin(name: string, domain: string): boolean {
  return name === domain || (name.length > domain.length && name.endsWith(`.${domain}`));
}
