/**
 * ARC: what others found out about a message before it came to us, sealed by them. RFC 8617 s5.2.
 *
 * `pass` says that the chain is whole and that the message is as its newest sealer sent it on, and no more: whether that
 * sealer is believed is for the policy to say. Sealers before it vouch for what the newest one received, not for the message.
 */
import { readArcSets, type ArcSet } from './arc-sets.js';
import { verifySignature, type VerifyWith } from './dkim.js';
import { readSignature } from './dkim-signature.js';
import { keyFor } from './dkim-key.js';
import { domainName } from './domain-names.js';
import { fieldBody, type RawField } from './header-fields.js';
import type { ArcCheck } from './results.js';
import { fits, withoutSignature } from './signed-octets.js';
import { base64Octets, readTags, type TagList } from './tag-list.js';

export async function verifyArc(fields: readonly RawField[], nowMs: number, use: VerifyWith): Promise<ArcCheck> {
  const found = readArcSets(fields);
  if (!found.ok) return { result: 'fail', instances: found.instances, sealers: [], why: found.why };
  const { sets } = found;
  const newest = sets.at(-1);
  if (newest === undefined) return { result: 'none', instances: 0, sealers: [] };
  const seals = sets.map(readSeal);
  const [about, why] = [aboutOf(sets, seals), chainFault(seals)];
  if (why !== undefined) return { ...about, result: 'fail', why };
  return { ...about, ...(await verifyChain({ sets, seals }, nowMs, use)) };
}

interface Seal {
  readonly tags: TagList;
  readonly domain: string;
  readonly selector: string;
  readonly algorithm: 'rsa' | 'ed25519' | undefined;
}

function readSeal({ seal }: ArcSet): Seal | undefined {
  const tags = readTags(fieldBody(seal));
  if (tags === undefined) return undefined;
  const name = tags.get('a')?.toLowerCase();
  return {
    tags,
    domain: domainName(tags.get('d') ?? '') ?? '',
    selector: tags.get('s') ?? '',
    algorithm: name === 'rsa-sha256' ? 'rsa' : name === 'ed25519-sha256' ? 'ed25519' : undefined,
  };
}

function aboutOf(sets: readonly ArcSet[], seals: readonly (Seal | undefined)[]): Omit<ArcCheck, 'result'> {
  const newest = sets.at(-1);
  const chainValidation = seals.at(-1)?.tags.get('cv');
  const results = newest === undefined ? '' : fieldBody(newest.results).replace(/^\s*i\s*=\s*\d+\s*;\s*/i, '');
  return {
    instances: sets.length,
    sealers: seals.map((seal) => seal?.domain ?? ''),
    ...(results !== '' && { authenticationResults: results.replace(/\s+/g, ' ').slice(0, MAX_RESULTS_CHARS) }),
    ...(chainValidation !== undefined && { chainValidation: chainValidation.slice(0, 20) }),
  };
}

/** Kept as evidence. */
const MAX_RESULTS_CHARS = 2000;
const SEAL_TAGS = new Set(['i', 'a', 'b', 'cv', 'd', 's', 't']);

/** RFC 8617 s4.1.3, s5.2 steps 2 and 3. */
function chainFault(seals: readonly (Seal | undefined)[]): string | undefined {
  if (seals.at(-1)?.tags.get('cv')?.toLowerCase() === 'fail')
    return 'the newest seal says that the chain was broken before it';
  for (const [index, seal] of seals.entries()) {
    const at = `ARC-Seal i=${String(index + 1)}`;
    if (seal === undefined) return `${at} is no list of tags`;
    const strange = [...seal.tags.keys()].find((name) => !SEAL_TAGS.has(name));
    // RFC 8617 s4.1.3: `h=` and `bh=` are not for seals.
    if (strange === 'h' || strange === 'bh') return `${at} has \`${strange}=\``;
    if (seal.domain === '' || seal.selector === '') return `${at} has no \`d=\` or no \`s=\``;
    if (seal.algorithm === undefined) return `${at} has no algorithm that is known`;
    const expected = index === 0 ? 'none' : 'pass';
    if (seal.tags.get('cv')?.toLowerCase() !== expected) return `${at} does not say \`cv=${expected}\``;
  }
  return undefined;
}

interface Chain {
  readonly sets: readonly ArcSet[];
  readonly seals: readonly (Seal | undefined)[];
}

type Verdict = Pick<ArcCheck, 'result' | 'why'>;

/** The newest message signature first, then the seals from the newest to the oldest. RFC 8617 s5.2 steps 4 and 6. */
async function verifyChain({ sets, seals }: Chain, nowMs: number, use: VerifyWith): Promise<Verdict> {
  const message = await verifyMessage(sets, nowMs, use);
  if (message.result !== 'pass') return message;
  // Asked for all at once: fifty seals must not wait for fifty answers one after the other.
  const replies = seals.map((seal) =>
    use.keys.txt(`${seal?.selector ?? ''}._domainkey.${seal?.domain ?? ''}`.toLowerCase()),
  );
  const text = sealedTexts(sets, use);
  for (let index = sets.length - 1; index >= 0; index -= 1) {
    const [set, seal, reply] = [sets[index], seals[index], await replies[index]];
    if (set === undefined || seal?.algorithm === undefined || reply === undefined) break;
    const { domain } = seal;
    const found = keyFor({ algorithm: seal.algorithm, domain, identityDomain: domain }, reply);
    const at = `ARC-Seal i=${String(index + 1)} of ${domain}`;
    if (!found.ok) return { result: found.result === 'temperror' ? 'temperror' : 'fail', why: `${at}: ${found.why}` };
    const signature = base64Octets(seal.tags.get('b') ?? '') ?? Buffer.alloc(0);
    if (!fits((text[index] ?? '') + withoutSignature(set.seal, 'relaxed'), signature, found.key)) {
      return { result: 'fail', why: `${at} does not hold` };
    }
  }
  return { result: 'pass' };
}

async function verifyMessage(sets: readonly ArcSet[], nowMs: number, use: VerifyWith): Promise<Verdict> {
  const newest = sets.at(-1);
  if (newest === undefined) return { result: 'none' };
  const at = `ARC-Message-Signature i=${String(sets.length)}`;
  const read = readSignature(newest.message, { nowMs, arc: true });
  if (!read.ok) return { result: 'fail', why: `${at}: ${read.why}` };
  const { result, why = result } = await verifySignature(read.signature, read.about, use);
  if (result === 'pass') return { result: 'pass' };
  return { result: result === 'temperror' ? 'temperror' : 'fail', why: `${at}: ${why}` };
}

/** What each seal covers, its own field excepted. RFC 8617 s5.1.1. */
function sealedTexts(sets: readonly ArcSet[], { message: { fields } }: VerifyWith): readonly string[] {
  let before = '';
  return sets.map(({ results, message, seal }) => {
    const text = `${before}${fields.line(results, 'relaxed')}\r\n${fields.line(message, 'relaxed')}\r\n`;
    before = `${text}${fields.line(seal, 'relaxed')}\r\n`;
    return text;
  });
}
