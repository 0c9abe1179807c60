/**
 * SPF: may this host use this name? RFC 7208, the function check_host() and its limits (s4.6.4): 10 terms that cost a
 * look-up, 2 of them in vain, 10 hosts for each `mx` and `ptr`. Includes and redirects share them, so loops end.
 *
 * A look-up that fails is a temperror, except where the RFC says otherwise (`ptr`). Explanations (`exp=`) are never
 * fetched: what a stranger wrote is no part of our replies. Unlike RFC 7208 s4.6.4 leaves open, a void look-up is counted
 * once for a term, for its first question.
 */
import { dotted, parseIp, parseIpv4, parseIpv6, reverseName, samePrefix, type IpBytes } from './addresses.js';
import { isVoid, valuesOf, type DnsReply, type MailAuthDns } from './dns.js';
import { domainName, isWithin } from './domain-names.js';
import type { SpfCheck, SpfResult } from './results.js';
import { expandMacros, type MacroString, type MacroValues } from './spf-macros.js';
import { isSpfRecord, readSpfRecord, type Mechanism, type SpfRecord } from './spf-record.js';

export interface SpfQuestion {
  readonly clientAddress: string;
  /** As the client gave it. */
  readonly helo: string;
  /** Reverse path, '' for the null sender. */
  readonly sender: string;
}

const MAX_LOOK_UPS = 10;
const MAX_VOID = 2;
const MAX_HOSTS = 10;

export async function checkSpf(question: SpfQuestion, dns: MailAuthDns): Promise<SpfCheck> {
  const isNull = question.sender === '';
  const rawDomain = isNull ? question.helo : question.sender.slice(question.sender.lastIndexOf('@') + 1);
  const domain = domainName(rawDomain);
  const address = parseIp(question.clientAddress);
  const about = {
    identity: isNull ? ('helo' as const) : ('mailfrom' as const),
    domain: domain ?? rawDomain.slice(0, 255).toLowerCase(),
    // RFC 7208 s4.3: an empty local part is `postmaster`.
    sender: isNull ? `postmaster@${domain ?? rawDomain.slice(0, 255)}` : question.sender,
    clientAddress: question.clientAddress,
  };
  if (domain === undefined || address === undefined) {
    const why = `\`${about.domain}\` is no domain name that could have a record`;
    return { ...about, result: 'none', lookUps: 0, why };
  }
  const check = new HostCheck({ address, sender: about.sender, helo: question.helo, dns });
  const { result, why, mechanism } = await check.run(domain);
  const { record } = check;
  return {
    ...about,
    result,
    lookUps: check.lookUps,
    ...(record !== undefined && { record }),
    ...(mechanism !== undefined && { mechanism }),
    ...(why !== undefined && { why }),
  };
}

interface Outcome {
  readonly result: SpfResult;
  readonly why?: string;
  readonly mechanism?: string;
}

/** Ends a check at once, however deep it is in includes. */
class SpfFault extends Error {
  constructor(
    readonly result: 'permerror' | 'temperror',
    why: string,
  ) {
    super(why);
  }
}

interface HostCheckOptions {
  readonly address: IpBytes;
  readonly sender: string;
  readonly helo: string;
  readonly dns: MailAuthDns;
}

class HostCheck {
  readonly #use: HostCheckOptions;
  lookUps = 0;
  #void = 0;
  /** Of the domain that was asked first. */
  record: string | undefined;
  #names: Promise<readonly string[]> | undefined;

  constructor(use: HostCheckOptions) {
    this.#use = use;
  }

  async run(domain: string): Promise<Outcome> {
    try {
      return await this.#check(domain);
    } catch (error) {
      if (!(error instanceof SpfFault)) throw error;
      return { result: error.result, why: error.message };
    }
  }

  /** check_host(). */
  async #check(domain: string): Promise<Outcome> {
    const text = await this.#recordOf(domain);
    this.record ??= text;
    if (text === undefined) return { result: 'none', why: `${domain} has no SPF record` };
    const read = readSpfRecord(text);
    if (!read.ok) throw new SpfFault('permerror', `SPF record of ${domain}: ${read.why}`);
    for (const term of read.record.mechanisms) {
      if (await this.#matches(term, domain)) {
        const mechanism = domain === this.#first ? term.text : `${term.text} of ${domain}`;
        return { result: term.qualifier, mechanism };
      }
    }
    return this.#redirected(read.record, domain);
  }

  #first = '';

  async #recordOf(domain: string): Promise<string | undefined> {
    this.#first ||= domain;
    const reply = await this.#use.dns.txt(domain);
    if (reply.kind === 'failed') throw new SpfFault('temperror', `SPF record of ${domain}: ${reply.message}`);
    const records = valuesOf(reply).filter(isSpfRecord);
    if (records.length > 1) throw new SpfFault('permerror', `${domain} has ${String(records.length)} SPF records`);
    return records[0];
  }

  /** RFC 7208 s6.1. */
  async #redirected({ redirect }: SpfRecord, domain: string): Promise<Outcome> {
    if (redirect === undefined) return { result: 'neutral', why: `no term of ${domain} matched` };
    this.#count();
    const target = await this.#target(redirect, domain);
    const outcome = target === undefined ? NOTHING : await this.#check(target);
    if (outcome.result !== 'none') return outcome;
    throw new SpfFault('permerror', `\`redirect=${redirect.text}\` of ${domain} leads to no SPF record`);
  }

  async #matches(term: Mechanism, domain: string): Promise<boolean> {
    switch (term.kind) {
      case 'all':
        return true;
      case 'ip':
        return samePrefix(term.network, this.#use.address, term.bits);
      case 'include':
        return this.#includes(term.target, domain);
      case 'exists':
        return this.#exists(term.target, domain);
      case 'a':
        return this.#hostMatches(term, domain);
      case 'mx':
        return this.#mxMatches(term, domain);
      case 'ptr':
        return this.#ptrMatches(term.target, domain);
    }
  }

  /** RFC 7208 s5.2. */
  async #includes(spec: MacroString, domain: string): Promise<boolean> {
    this.#count();
    const target = await this.#target(spec, domain);
    const { result } = target === undefined ? NOTHING : await this.#check(target);
    if (result === 'none') throw new SpfFault('permerror', `\`include:${spec.text}\` of ${domain} has no SPF record`);
    return result === 'pass';
  }

  async #exists(spec: MacroString, domain: string): Promise<boolean> {
    this.#count();
    const target = await this.#target(spec, domain);
    if (target === undefined) return false;
    // Always A, whatever the client's address is. RFC 7208 s5.7.
    return valuesOf(await this.#asked(this.#use.dns.ipv4(target), target)).length > 0;
  }

  async #hostMatches(term: Extract<Mechanism, { kind: 'a' | 'mx' }>, domain: string): Promise<boolean> {
    this.#count();
    const target = await this.#target(term.target, domain);
    if (target === undefined) return false;
    return this.#isAmong(await this.#asked(this.#addresses(target), target), term);
  }

  /** RFC 7208 s5.4. */
  async #mxMatches(term: Extract<Mechanism, { kind: 'a' | 'mx' }>, domain: string): Promise<boolean> {
    this.#count();
    const target = await this.#target(term.target, domain);
    if (target === undefined) return false;
    const records = valuesOf(await this.#asked(this.#use.dns.mx(target), target));
    const hosts = records.toSorted((a, b) => a.priority - b.priority).map(({ exchange }) => exchange);
    for (const [index, host] of hosts.entries()) {
      if (index >= MAX_HOSTS) throw new SpfFault('permerror', `${target} has more than ${String(MAX_HOSTS)} MX`);
      if (host === '') continue;
      const reply = await this.#addresses(host);
      if (reply.kind === 'failed') throw new SpfFault('temperror', `${host}: ${reply.message}`);
      if (this.#isAmong(reply, term)) return true;
    }
    return false;
  }

  /** RFC 7208 s5.5: what fails does not match. */
  async #ptrMatches(spec: MacroString | undefined, domain: string): Promise<boolean> {
    this.#count();
    const target = await this.#target(spec, domain);
    if (target === undefined) return false;
    const names = await this.#validatedNames();
    return names.some((name) => isWithin(name, target));
  }

  /** Names of the client that lead back to its address; asked for once. */
  #validatedNames(): Promise<readonly string[]> {
    this.#names ??= this.#lookUpNames();
    return this.#names;
  }

  async #lookUpNames(): Promise<readonly string[]> {
    const { address, dns } = this.#use;
    const reply = await dns.pointers(reverseName(address));
    if (isVoid(reply)) this.#countVoid();
    const names: string[] = [];
    for (const name of valuesOf(reply).slice(0, MAX_HOSTS)) {
      const known = await this.#addresses(name);
      if (this.#isAmong(known, { bits4: 32, bits6: 128 })) names.push(name.toLowerCase());
    }
    return names;
  }

  #addresses(host: string): Promise<DnsReply<string>> {
    const { address, dns } = this.#use;
    return address.length === 4 ? dns.ipv4(host) : dns.ipv6(host);
  }

  #isAmong(reply: DnsReply<string>, { bits4, bits6 }: { readonly bits4: number; readonly bits6: number }): boolean {
    const { address } = this.#use;
    const isFour = address.length === 4;
    return valuesOf(reply).some((text) => {
      const parsed = isFour ? parseIpv4(text) : parseIpv6(text);
      return parsed !== undefined && samePrefix(parsed, address, isFour ? bits4 : bits6);
    });
  }

  /** The first question of a term. */
  async #asked<T>(question: Promise<DnsReply<T>>, name: string): Promise<DnsReply<T>> {
    const reply = await question;
    if (reply.kind === 'failed') throw new SpfFault('temperror', `${name}: ${reply.message}`);
    if (isVoid(reply)) this.#countVoid();
    return reply;
  }

  #count(): void {
    this.lookUps += 1;
    if (this.lookUps > MAX_LOOK_UPS) throw new SpfFault('permerror', `more than ${String(MAX_LOOK_UPS)} look-ups`);
  }

  #countVoid(): void {
    this.#void += 1;
    if (this.#void > MAX_VOID) throw new SpfFault('permerror', `more than ${String(MAX_VOID)} look-ups in vain`);
  }

  /** Undefined: what it expands to is no name, so nothing can match. RFC 7208 s4.8. */
  async #target(spec: MacroString | undefined, domain: string): Promise<string | undefined> {
    if (spec === undefined) return domain;
    return domainName(await expandMacros(spec, this.#values(domain)));
  }

  #values(domain: string): MacroValues {
    const { address, sender, helo } = this.#use;
    return {
      sender,
      domain,
      helo,
      dottedIp: dotted(address),
      isIpv6: address.length === 16,
      validatedName: async () => {
        const names = await this.#validatedNames();
        const own = names.find((name) => name === domain) ?? names.find((name) => isWithin(name, domain));
        return own ?? names[0] ?? 'unknown';
      },
    };
  }
}

const NOTHING: Outcome = { result: 'none' };
