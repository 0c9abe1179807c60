/**
 * Names for the relay over node:dns: answers are cached for a bounded time, equal questions in flight are asked once,
 * and "nobody knows" (SERVFAIL, time-out, refused) is never taken for "there is none". Answers are hostile text: names
 * are checked, their number is bounded. RFC 5321 s5.1, RFC 2308 (negative answers).
 *
 * Known gap: node:dns gives no TTL for MX and TXT, so those are kept for a fixed time.
 */
import { lookup, Resolver as NodeResolver } from 'node:dns/promises';
import type { DnsAnswer, MxRecord, Resolver } from '#delivery';

export interface DnsResolverOptions {
  /** `address` or `address:port`; the system's own when absent. */
  readonly servers?: readonly string[];
  readonly timeoutMs?: number;
  readonly tries?: number;
  readonly nowMs?: () => number;
}

const DEFAULT_TIMEOUT_MS = 3_000;
const DEFAULT_TRIES = 2;
const MX_KEPT_MS = 60_000;
const TXT_KEPT_MS = 60_000;
/** Of all TXT records of a name together: an answer of 64 KB would be kept 20,000 times. */
const MAX_TEXT_CHARS = 16_384;
const NEGATIVE_KEPT_MS = 30_000;
const FAILURE_KEPT_MS = 3_000;
const SHORTEST_KEPT_MS = 5_000;
const LONGEST_KEPT_MS = 300_000;
const MAX_ENTRIES = 20_000;
const MAX_RECORDS = 100;
const NAME = /^(?=.{1,253}$)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*$/;

interface Entry {
  readonly answer: Promise<DnsAnswer<unknown>>;
  expiresAtMs: number;
}

interface Timed<T> {
  readonly answer: DnsAnswer<T>;
  readonly keptMs: number;
}

export class DnsResolver implements Resolver {
  readonly #resolver: NodeResolver;
  readonly #usesSystem: boolean;
  readonly #nowMs: () => number;
  readonly #entries = new Map<string, Entry>();

  constructor(options: DnsResolverOptions = {}) {
    this.#resolver = new NodeResolver({
      timeout: options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
      tries: options.tries ?? DEFAULT_TRIES,
    });
    this.#usesSystem = options.servers === undefined || options.servers.length === 0;
    if (options.servers !== undefined && !this.#usesSystem) this.#resolver.setServers(options.servers);
    this.#nowMs = options.nowMs ?? Date.now;
  }

  mx(domain: string): Promise<DnsAnswer<MxRecord>> {
    return this.#cached(`mx ${domain}`, async () => this.#askMx(domain));
  }

  addresses(host: string): Promise<DnsAnswer<string>> {
    return this.#cached(`a ${host}`, async () => this.#askAddresses(host));
  }

  /** IPv4 addresses that the name servers know: no IPv6, nothing of this machine's own. For DNS lists (RFC 5782). */
  ipv4(host: string): Promise<DnsAnswer<string>> {
    return this.#cached(`4 ${host}`, async () => this.#askIpv4(host));
  }

  /** IPv6 addresses, likewise. */
  ipv6(host: string): Promise<DnsAnswer<string>> {
    return this.#cached(`6 ${host}`, async () => this.#askIpv6(host));
  }

  /** TXT records, the strings of each joined; their number and length are bounded. */
  txt(name: string): Promise<DnsAnswer<string>> {
    return this.#cached(`txt ${name}`, async () => this.#askTxt(name));
  }

  /** Names that an address claims to have (PTR, `9.113.0.203.in-addr.arpa`): hostile until they lead back to it. */
  pointers(name: string): Promise<DnsAnswer<string>> {
    return this.#cached(`ptr ${name}`, async () => this.#askPointers(name));
  }

  #cached<T>(key: string, ask: () => Promise<Timed<T>>): Promise<DnsAnswer<T>> {
    const known = this.#entries.get(key);
    if (known !== undefined && known.expiresAtMs > this.#nowMs()) return known.answer as Promise<DnsAnswer<T>>;
    const asking = ask();
    const entry: Entry = { answer: asking.then(({ answer }) => answer), expiresAtMs: Number.POSITIVE_INFINITY };
    void asking.then(({ keptMs }) => (entry.expiresAtMs = this.#nowMs() + keptMs));
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    const [oldest] = this.#entries.keys();
    if (this.#entries.size > MAX_ENTRIES && oldest !== undefined) this.#entries.delete(oldest);
    return entry.answer as Promise<DnsAnswer<T>>;
  }

  async #askMx(domain: string): Promise<Timed<MxRecord>> {
    if (!NAME.test(domain)) return { answer: { kind: 'no-domain' }, keptMs: NEGATIVE_KEPT_MS };
    try {
      const records = await this.#resolver.resolveMx(domain);
      const values = records
        .map(({ exchange, priority }) => ({ exchange: exchange.toLowerCase().replace(/\.$/, ''), priority }))
        .filter(({ exchange }) => exchange === '' || NAME.test(exchange))
        .toSorted((a, b) => a.priority - b.priority)
        .slice(0, MAX_RECORDS);
      return { answer: { kind: 'found', values }, keptMs: MX_KEPT_MS };
    } catch (error) {
      return failure(error);
    }
  }

  async #askAddresses(host: string): Promise<Timed<string>> {
    const name = host.toLowerCase().replace(/\.$/, '');
    if (!NAME.test(name)) return { answer: { kind: 'no-domain' }, keptMs: NEGATIVE_KEPT_MS };
    const [four, six] = await Promise.all([
      this.#askRecords(async () => this.#resolver.resolve4(name, { ttl: true })),
      this.#askRecords(async () => this.#resolver.resolve6(name, { ttl: true })),
    ]);
    const both = combine(four, six);
    return both.answer.kind !== 'found' && this.#usesSystem ? systemAddresses(name, both) : both;
  }

  async #askIpv4(host: string): Promise<Timed<string>> {
    const name = host.toLowerCase();
    if (!NAME.test(name)) return { answer: { kind: 'no-domain' }, keptMs: NEGATIVE_KEPT_MS };
    return this.#askRecords(async () => this.#resolver.resolve4(name, { ttl: true }));
  }

  async #askIpv6(host: string): Promise<Timed<string>> {
    const name = host.toLowerCase();
    if (!NAME.test(name)) return { answer: { kind: 'no-domain' }, keptMs: NEGATIVE_KEPT_MS };
    return this.#askRecords(async () => this.#resolver.resolve6(name, { ttl: true }));
  }

  async #askTxt(name: string): Promise<Timed<string>> {
    if (!NAME.test(name)) return { answer: { kind: 'no-domain' }, keptMs: NEGATIVE_KEPT_MS };
    try {
      const records = (await this.#resolver.resolveTxt(name)).slice(0, MAX_RECORDS);
      const length = records.flat().reduce((sum, text) => sum + text.length, 0);
      if (length <= MAX_TEXT_CHARS) {
        return { answer: { kind: 'found', values: records.map((texts) => texts.join('')) }, keptMs: TXT_KEPT_MS };
      }
      const message = `${name} has more than ${String(MAX_TEXT_CHARS)} characters of TXT records`;
      return { answer: { kind: 'failed', message }, keptMs: NEGATIVE_KEPT_MS };
    } catch (error) {
      return failure(error);
    }
  }

  async #askPointers(reversed: string): Promise<Timed<string>> {
    try {
      const records = await this.#resolver.resolvePtr(reversed);
      const names = records.map((name) => name.toLowerCase().replace(/\.$/, '')).filter((name) => NAME.test(name));
      if (names.length === 0) return { answer: { kind: 'none' }, keptMs: NEGATIVE_KEPT_MS };
      return { answer: { kind: 'found', values: names.slice(0, MAX_RECORDS) }, keptMs: MX_KEPT_MS };
    } catch (error) {
      return failure(error);
    }
  }

  async #askRecords(ask: () => Promise<readonly { address: string; ttl: number }[]>): Promise<Timed<string>> {
    try {
      const records = await ask();
      const ttlMs = Math.min(...records.map(({ ttl }) => ttl)) * 1000;
      const keptMs = Math.min(LONGEST_KEPT_MS, Math.max(SHORTEST_KEPT_MS, ttlMs));
      return { answer: { kind: 'found', values: records.slice(0, MAX_RECORDS).map(({ address }) => address) }, keptMs };
    } catch (error) {
      return failure(error);
    }
  }
}

/** IPv4 first. One family's failure matters only when the other has nothing. */
function combine(four: Timed<string>, six: Timed<string>): Timed<string> {
  const keptMs = Math.min(four.keptMs, six.keptMs);
  const found = [four, six].filter(({ answer }) => answer.kind === 'found');
  const values = found.flatMap(({ answer }) => (answer.kind === 'found' ? answer.values : []));
  if (values.length > 0) {
    return { answer: { kind: 'found', values }, keptMs: Math.min(...found.map((timed) => timed.keptMs)) };
  }
  if (four.answer.kind === 'failed') return { answer: four.answer, keptMs };
  if (six.answer.kind === 'failed') return { answer: six.answer, keptMs };
  return { answer: four.answer, keptMs };
}

/** What only this machine knows: /etc/hosts, names of containers. */
async function systemAddresses(name: string, otherwise: Timed<string>): Promise<Timed<string>> {
  try {
    const found = await lookup(name, { all: true });
    const values = found.toSorted((a, b) => a.family - b.family).map(({ address }) => address);
    return { answer: { kind: 'found', values }, keptMs: NEGATIVE_KEPT_MS };
  } catch {
    return otherwise;
  }
}

function failure(error: unknown): Timed<never> {
  const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : 'unknown';
  switch (code) {
    case 'ENODATA':
      return { answer: { kind: 'none' }, keptMs: NEGATIVE_KEPT_MS };
    case 'ENOTFOUND':
    case 'EBADNAME':
      return { answer: { kind: 'no-domain' }, keptMs: NEGATIVE_KEPT_MS };
    default:
      return { answer: { kind: 'failed', message: describe(code) }, keptMs: FAILURE_KEPT_MS };
  }
}

function describe(code: string): string {
  switch (code) {
    case 'ESERVFAIL':
      return 'name server failed';
    case 'ETIMEOUT':
      return 'name server did not answer';
    case 'EREFUSED':
    case 'ECONNREFUSED':
      return 'name server refused';
    default:
      return `name look-up failed with ${code}`;
  }
}
