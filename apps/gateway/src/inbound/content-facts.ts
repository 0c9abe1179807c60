/** What the scanner saw of the content → facts, those that the policy asks for and no others. */
import { contentFacts as factsOfContent, type ScannedContent } from '#mime';
import { parseAddress, type Facts } from '#policy';
import { isContentAuthFact } from '../mail-auth/mail-auth-facts.js';

/** `size` is always among them: that content was judged can be told by it. */
export function contentFacts(wanted: ReadonlySet<string>, scanned: Omit<ScannedContent, 'readAddress'>): Facts {
  const own = new Set([...wanted].filter((name) => !isContentAuthFact(name)));
  return factsOfContent(own, { ...scanned, readAddress });
}

function readAddress(written: string): string | undefined {
  const address = parseAddress(written);
  return address.ok ? address.address : undefined;
}
