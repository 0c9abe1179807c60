/**
 * Facts about a client and a sender that only the DNS knows: confirmed reverse names, DNS lists, whether mail to the sender's
 * domain has somewhere to go. RFC 5782 (DNS lists), RFC 7505 (null MX), RFC 5321 s5.1 (no MX).
 *
 * A look-up that fails, or takes too long, makes the fact unknown and says why; it never makes it absent. Answers are
 * hostile text: a name counts only when it leads back to the address.
 */
import type { DnsAnswer, MxRecord } from '#delivery';
import type { FactValue, UnknownFact } from '#policy';
import ipaddr from 'ipaddr.js';

/** The questions that are asked; equal ones in flight are one, and answers are kept for a while. */
export interface NameServers {
  pointers(name: string): Promise<DnsAnswer<string>>;
  addresses(host: string): Promise<DnsAnswer<string>>;
  ipv4(host: string): Promise<DnsAnswer<string>>;
  mx(domain: string): Promise<DnsAnswer<MxRecord>>;
}

export interface DnsFactsOptions {
  readonly servers: NameServers;
  /** Per fact, all of its look-ups together. */
  readonly deadlineMs?: number;
}

const DEADLINE_MS = 5_000;
/** Of the names of one address: whoever has more has none. */
const MAX_NAMES = 10;

export class DnsFacts {
  readonly #servers: NameServers;
  readonly #deadlineMs: number;

  constructor({ servers, deadlineMs = DEADLINE_MS }: DnsFactsOptions) {
    this.#servers = servers;
    this.#deadlineMs = deadlineMs;
  }

  /** `rdns`: undefined when the address has no name that leads back to it. */
  reverseNames(address: string): Promise<FactValue | undefined> {
    return this.#inTime(this.#reverseNames(address));
  }

  /** `dnsbl`: those of the zones that have the address. */
  listedIn(address: string, zones: readonly string[]): Promise<FactValue | undefined> {
    return this.#inTime(this.#listedIn(address, zones));
  }

  /** `sender.has-mx`, of the domain of a sender. */
  takesMail(domain: string): Promise<FactValue | undefined> {
    return this.#inTime(this.#takesMail(domain));
  }

  async #reverseNames(address: string): Promise<FactValue | undefined> {
    const reversed = reversedAddress(address);
    if (reversed === undefined) return undefined;
    const zone = address.includes(':') ? 'ip6.arpa' : 'in-addr.arpa';
    const answer = await this.#servers.pointers(`${reversed}.${zone}`);
    if (answer.kind === 'failed') return { unknown: `reverse name: ${answer.message}` };
    if (answer.kind !== 'found' || answer.values.length > MAX_NAMES) return undefined;
    const candidates = [...new Set(answer.values)];
    const forward = await Promise.all(candidates.map((name) => this.#servers.addresses(name)));
    const confirmed = candidates.filter((_, index) => leadsBack(forward[index], address));
    const failed = candidates.filter((_, index) => forward[index]?.kind === 'failed');
    if (failed.length > 0) return partly(`forward look-up of ${failed.join(', ')} failed`, confirmed, failed);
    return confirmed.length === 0 ? undefined : confirmed;
  }

  async #listedIn(address: string, zones: readonly string[]): Promise<FactValue> {
    const reversed = reversedAddress(address);
    if (reversed === undefined) return [];
    const answers = await Promise.all(zones.map((zone) => this.#servers.ipv4(`${reversed}.${zone}`)));
    const verdicts = answers.map(listVerdict);
    const listed = zones.filter((_, index) => verdicts[index] === true);
    const failed = zones.filter((_, index) => typeof verdicts[index] === 'string');
    if (failed.length === 0) return listed;
    const why = failed.map((zone) => `${zone}: ${String(verdicts[zones.indexOf(zone)])}`);
    return partly(why.join('; '), listed, failed);
  }

  async #takesMail(domain: string): Promise<FactValue> {
    // An address literal is its own destination.
    if (domain.startsWith('[')) return true;
    const answer = await this.#servers.mx(domain);
    if (answer.kind === 'failed') return { unknown: `MX of ${domain}: ${answer.message}` };
    if (answer.kind === 'no-domain') return false;
    // A null MX is one record with an empty name, and says no.
    if (answer.kind === 'found') return answer.values.some(({ exchange }) => exchange !== '');
    const address = await this.#servers.addresses(domain);
    if (address.kind === 'failed') return { unknown: `address of ${domain}: ${address.message}` };
    return address.kind === 'found';
  }

  async #inTime(look: Promise<FactValue | undefined>): Promise<FactValue | undefined> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<FactValue>((resolve) => {
      timer = setTimeout(
        () => resolve({ unknown: `no answer within ${String(this.#deadlineMs)} ms` }),
        this.#deadlineMs,
      );
    });
    try {
      return await Promise.race([look, late]);
    } finally {
      clearTimeout(timer);
    }
  }
}

function partly(unknown: string, values: readonly string[], among: readonly string[]): UnknownFact {
  return { unknown, values, among };
}

function leadsBack(answer: DnsAnswer<string> | undefined, address: string): boolean {
  if (answer?.kind !== 'found') return false;
  const wanted = canonical(address);
  return wanted !== undefined && answer.values.some((value) => canonical(value) === wanted);
}

function canonical(address: string): string | undefined {
  return ipaddr.isValid(address) ? ipaddr.process(address).toNormalizedString() : undefined;
}

/** Whether an answer of a list says so; text: it says nothing. */
function listVerdict(answer: DnsAnswer<string>): boolean | string {
  if (answer.kind === 'failed') return answer.message;
  if (answer.kind !== 'found') return false;
  const foreign = answer.values.find((value) => !value.startsWith('127.'));
  if (foreign !== undefined) return `answered ${foreign}, which is no answer of a DNS list`;
  // Lists say "ask me otherwise" (open resolver, too many questions) with addresses at the end of 127.0.0.0/8.
  const refused = answer.values.find((value) => value.startsWith('127.255.255.'));
  return refused === undefined ? answer.values.length > 0 : `refused to answer (${refused})`;
}

/** `192.0.2.99` → `99.2.0.192`; IPv6 by nibbles. RFC 5782 s2.1, s2.4. */
export function reversedAddress(address: string): string | undefined {
  if (!ipaddr.isValid(address)) return undefined;
  const parsed = ipaddr.process(address);
  const parts =
    parsed.kind() === 'ipv4'
      ? parsed.toByteArray().map(String)
      : parsed.toByteArray().flatMap((byte) => [(byte >> 4).toString(16), (byte & 15).toString(16)]);
  return parts.toReversed().join('.');
}
