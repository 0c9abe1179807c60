/**
 * Domain names as a person writes them: U-labels or A-labels in, lower-case A-labels out. RFC 5321 s4.1.2, UTS 46.
 * `.example.com` stands for everything below example.com, and not for itself.
 */
import { toASCII } from 'tr46';

export type DomainResult =
  | { readonly ok: true; readonly domain: string }
  | { readonly ok: false; readonly message: string; readonly fix?: string };

const LABELS = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*$/;

function toALabels(text: string): string | undefined {
  const lower = text.toLowerCase();
  if (LABELS.test(lower) && lower.length <= 253 && !lower.includes('xn--')) {
    return lower.split('.').every((label) => label.length <= 63) ? lower : undefined;
  }
  const ascii = toASCII(text, {
    checkBidi: true,
    checkHyphens: false,
    checkJoiners: true,
    useSTD3ASCIIRules: true,
    verifyDNSLength: true,
    transitionalProcessing: false,
  });
  return ascii !== null && LABELS.test(ascii) ? ascii : undefined;
}

/** One host or mail domain. A trailing dot, an empty label and an address literal are refused. */
export function parseDomain(text: string): DomainResult {
  if (text.endsWith('.') && text.length > 1) {
    const fix = text.slice(0, -1);
    return { ok: false, message: `\`${text}\` ends with a dot, expected the domain without it`, fix };
  }
  const domain = text === '' ? undefined : toALabels(text);
  const lastLabel = domain?.slice(domain.lastIndexOf('.') + 1) ?? '';
  if (domain === undefined || /^\d+$/.test(lastLabel)) {
    return { ok: false, message: `\`${text}\` is not a domain, expected a name such as \`example.com\`` };
  }
  return { ok: true, domain };
}

/** An entry of a domain list: `example.com` or `.example.com`. */
export function parseDomainEntry(text: string): DomainResult {
  if (text.startsWith('*.')) {
    const fix = text.slice(1);
    return { ok: false, message: `\`${text}\` has a wildcard, expected \`${fix}\` for everything below a domain`, fix };
  }
  if (!text.startsWith('.')) return parseDomain(text);
  const below = parseDomain(text.slice(1));
  return below.ok
    ? { ok: true, domain: `.${below.domain}` }
    : {
        ok: false,
        message: `\`${text}\` is not a domain entry, expected \`.example.com\` for everything below example.com`,
      };
}
