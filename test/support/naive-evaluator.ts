/**
 * The policy language judged a second time, slowly and straight from its rules: no index, no tables, nothing compiled,
 * and nothing shared with the evaluator it is compared with. It takes the document as written, the members of managed
 * lists, and facts.
 */
import { isInNetwork, isWithin } from './naive-values.js';

type Value = string | number | boolean | readonly string[] | { readonly unknown: string };
export type NaiveFacts = Readonly<Record<string, Value | undefined>>;
type Tri = true | false | 'unknown';
type Json = Readonly<Record<string, unknown>>;

export interface NaiveDecision {
  readonly verdict: string;
  readonly by: string;
  readonly client: string;
  readonly tags: readonly string[];
  readonly route?: string;
  readonly recipient: string;
}

interface NaiveRule extends Json {
  readonly name: string;
  readonly when?: Json;
  readonly unless?: Json;
}

type Answer = { readonly verdict: string; readonly by: string; readonly route?: string } | undefined;

const VERDICTS = ['accept', 'reject', 'defer', 'hold', 'discard', 'greylist'];
const ADDRESSES = ['sender', 'recipient', 'recipient.original', 'from'];
const DOMAINS = [
  'helo',
  'rdns',
  'dnsbl',
  'sender.domain',
  'recipient.domain',
  'from.domain',
  'dkim.domain',
  'arc.sealer',
];
const NAMES = [
  'listener',
  'client',
  'tag',
  'helo.kind',
  'tls.version',
  'auth.method',
  'spf',
  'dkim',
  'dmarc',
  'dmarc.policy',
  'from.aligned',
  'arc',
];

const asList = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [value]);
const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isUnknown = (value: unknown): boolean => isObject(value) && 'unknown' in value;
const not = (value: Tri): Tri => (value === 'unknown' ? value : !value);
const and = (values: readonly Tri[]): Tri =>
  values.includes(false) ? false : values.includes('unknown') ? 'unknown' : true;
const or = (values: readonly Tri[]): Tri => not(and(values.map(not)));
const domainOf = (address: string): string => address.slice(address.lastIndexOf('@') + 1).toLowerCase();
const localOf = (address: string): string => address.slice(0, address.lastIndexOf('@'));

export class NaiveEvaluator {
  private facts: NaiveFacts = {};
  private tags: string[] = [];
  private client: Value | undefined;
  private recipient: Value | undefined;
  private original: Value | undefined;
  private redirected: string | undefined;

  constructor(
    private readonly document: Json,
    private readonly managed: Readonly<Record<string, readonly string[]>>,
  ) {}

  decide(facts: NaiveFacts): NaiveDecision {
    this.facts = facts;
    this.tags = [];
    this.client = undefined;
    this.recipient = this.withDomain(facts['recipient']);
    this.original = this.recipient;
    this.redirected = undefined;
    const answer = this.transaction() ?? { verdict: 'accept', by: '' };
    const recipient = typeof this.recipient === 'string' ? this.recipient : '';
    const client = typeof this.client === 'string' ? this.client : 'none';
    return { ...answer, client, tags: this.tags, recipient };
  }

  /** "Phases": connect, helo, mail, rcpt, message; a refusal is remembered, the earliest is the answer. */
  private transaction(): Answer {
    const before = this.untilMail();
    const { recipient } = this;
    const malformed = this.malformed(recipient);
    if (malformed !== undefined) return malformed;
    if (before !== undefined && before.verdict !== 'accept') return before;
    const external = this.rewrite();
    const relay = this.mayRelay(external);
    if (relay !== true) return { verdict: relay === false ? 'reject' : 'defer', by: 'builtin/relay-denied' };
    const ruled = this.phase('rcpt');
    if (ruled !== undefined && ruled.verdict !== 'accept') return ruled;
    const accepted = { verdict: 'accept', by: ruled?.by ?? before?.by ?? '' };
    const placed = this.place(accepted);
    if (placed.verdict !== 'accept' || !('size' in this.facts)) return placed;
    return this.afterContent(placed);
  }

  /** "Bare `postmaster` belongs to the first domain of the first `domains` entry." */
  private withDomain(recipient: Value | undefined): Value | undefined {
    if (typeof recipient !== 'string' || recipient.toLowerCase() !== 'postmaster') return recipient;
    const written = asList(this.domains()[0]?.['match'] ?? []).map(String);
    const entries = written.flatMap((one) => (this.list(one)?.['entries'] ?? [one]) as readonly string[]);
    const first = entries.find((entry) => !entry.startsWith('.'));
    return first === undefined ? recipient : `${recipient}@${first}`;
  }

  /** "Strict parse": no `%` or `!` relaying forms. A syntax error comes before remembered answers. */
  private malformed(recipient: Value | undefined): Answer {
    if (typeof recipient !== 'string' || this.isWellFormed(recipient)) return undefined;
    const isBare = recipient.toLowerCase() === 'postmaster';
    return { verdict: 'reject', by: isBare ? 'builtin/no-such-recipient' : 'builtin/bad-recipient' };
  }

  private isWellFormed(address: string): boolean {
    return address.lastIndexOf('@') > 0 && !/[%!@]/.test(localOf(address));
  }

  private untilMail(): Answer {
    const connect = this.phase('connect');
    if (connect !== undefined && connect.verdict !== 'accept') return connect;
    const unsure = this.findClient();
    const helo = this.phase('helo') ?? connect;
    if (helo !== undefined && helo.verdict !== 'accept') return helo;
    if (unsure !== undefined) return { verdict: 'defer', by: `clients/${unsure}` };
    return this.senderBinding() ?? this.phase('mail') ?? helo;
  }

  /** "Clients are tried in order, the first match is the client"; unknown: 451, never a wider one. */
  private findClient(): string | undefined {
    for (const client of this.clients()) {
      const holds = this.all(client['match'] as Json);
      if (holds === false) continue;
      const name = String(client['name']);
      this.client = holds === true ? name : { unknown: name };
      return holds === true ? undefined : name;
    }
    return undefined;
  }

  private readonly clients = (): readonly Json[] => (this.document['clients'] ?? []) as readonly Json[];

  private currentClient(): Json | undefined {
    return this.clients().find(({ name }) => name === this.client);
  }

  /** "The null sender is always permitted." */
  private senderBinding(): Answer {
    const senders = this.currentClient()?.['senders'];
    const { sender } = this.facts;
    if (senders === undefined || sender === '') return undefined;
    const allowed = typeof sender === 'string' ? this.covers(senders, sender) : sender !== undefined && 'unknown';
    if (allowed === true) return undefined;
    return { verdict: allowed === false ? 'reject' : 'defer', by: 'builtin/sender-not-allowed' };
  }

  /** Domains and addresses of a grant. */
  private covers(grant: unknown, address: string): Tri {
    return or(
      asList(grant).map((one) => {
        const text = String(one);
        const type = this.list(text)?.['type'] ?? (text.includes('@') ? 'address' : 'domain');
        return this.memberOf(type === 'address' ? 'sender' : 'sender.domain', text, address);
      }),
    );
  }

  /** "Single pass, first match only." True when it leaves to outside with `external: allowed`. */
  private rewrite(): boolean {
    if (typeof this.recipient !== 'string') return false;
    const [local, domain] = [localOf(this.recipient), domainOf(this.recipient)];
    for (const entry of (this.document['rewriting'] ?? []) as readonly Json[]) {
      const { from, to } = entry['recipient'] as { from: string; to: string };
      if (domainOf(from) !== domain || !['*', local.toLowerCase()].includes(localOf(from).toLowerCase())) continue;
      this.recipient = to.replace('{local}', local);
      return entry['external'] === 'allowed';
    }
    return false;
  }

  private readonly domains = (): readonly Json[] => (this.document['domains'] ?? []) as readonly Json[];

  /** The first entry of `domains` that is not known to be another's. */
  private entryOf(domain: string): { readonly covers: Tri; readonly entry?: Json } {
    for (const entry of this.domains()) {
      const covers = or(asList(entry['match']).map((one) => this.memberOf('recipient.domain', String(one), domain)));
      if (covers !== false) return { covers, entry };
    }
    return { covers: false };
  }

  /** "The domain is in `domains`, or the client's `relay` covers it." */
  private mayRelay(external: boolean): Tri {
    const { recipient } = this;
    if (external) return true;
    if (typeof recipient !== 'string') return 'unknown';
    const relay = this.currentClient()?.['relay'];
    const ours = this.entryOf(domainOf(recipient)).covers;
    if (relay === 'anywhere') return true;
    return relay === undefined ? ours : or([ours, this.covers((relay as Json)['to'], recipient)]);
  }

  /** Redirect, verification of the recipient, routing. */
  private place(accepted: { readonly verdict: string; readonly by: string }): NonNullable<Answer> {
    this.recipient = this.redirected ?? this.recipient;
    const known = this.read('recipient.known');
    if (isUnknown(known)) return { verdict: 'defer', by: 'builtin/recipient-unverified' };
    if (known === false) return { verdict: 'reject', by: 'builtin/no-such-recipient' };
    for (const rule of this.document['routing'] as readonly NaiveRule[]) {
      if (this.isExpired(rule)) continue;
      const holds = this.ruleHolds(rule);
      if (holds === true) return { ...accepted, route: String(rule['route']) };
      if (holds === 'unknown') return { verdict: 'defer', by: `routing/${rule.name}` };
    }
    return { verdict: 'defer', by: 'builtin/no-route' };
  }

  private afterContent(placed: NonNullable<Answer>): NonNullable<Answer> {
    const tagsBefore = this.tags.length;
    this.redirected = undefined;
    const ruled = this.phase('message');
    if (ruled !== undefined && ruled.verdict !== 'accept') return ruled;
    const by = ruled?.by ?? placed.by;
    const moved = typeof this.redirected === 'string' || this.tags.length > tagsBefore;
    return moved ? this.place({ verdict: 'accept', by }) : { ...placed, by };
  }

  /** "Rules top to bottom. Effects accumulate. The first verdict ends this phase, and only this phase." */
  private phase(name: string): Answer {
    const rules = ((this.document['acl'] ?? {}) as Readonly<Record<string, readonly NaiveRule[] | undefined>>)[name];
    for (const rule of rules ?? []) {
      if (rule['mode'] === 'monitor' || this.isExpired(rule)) continue;
      const verdict = this.verdictOf(rule);
      if (verdict === undefined) continue;
      if (verdict !== 'unknown') this.apply(rule);
      const own = VERDICTS.find((each) => rule[each] !== undefined);
      if (verdict === 'unknown' || own !== undefined) {
        const defers = verdict === 'unknown' || own === 'greylist';
        return { verdict: defers ? 'defer' : String(own), by: `${name}/${rule.name}` };
      }
    }
    return undefined;
  }

  /** Undefined: the rule is passed over. `unknown`: it defers. */
  private verdictOf(rule: NaiveRule): 'acts' | 'unknown' | undefined {
    const holds = this.ruleHolds(rule);
    if (holds === true) return 'acts';
    if (holds === false) return undefined;
    const refuses = VERDICTS.slice(1).some((each) => rule[each] !== undefined);
    const onUnknown = rule['on-unknown'] ?? (refuses ? 'defer' : 'skip');
    return onUnknown === 'skip' ? undefined : onUnknown === 'match' ? 'acts' : 'unknown';
  }

  private apply({ tag, redirect }: NaiveRule): void {
    for (const one of asList(tag ?? [])) if (!this.tags.includes(String(one))) this.tags.push(String(one));
    if (typeof redirect === 'string') this.redirected = redirect;
  }

  private isExpired(rule: Json): boolean {
    const { time } = this.facts;
    if (typeof rule['expires'] !== 'string' || typeof time !== 'string') return false;
    return Date.parse(time) >= Date.parse(`${rule['expires']}T00:00:00Z`) + 24 * 3_600_000;
  }

  /** "All keys of `when` must hold; any key of `unless` cancels the rule." */
  private ruleHolds(rule: NaiveRule): Tri {
    const unless = Object.entries(rule.unless ?? {}).map(([fact, wanted]) => this.condition(fact, wanted));
    return and([this.all(rule.when ?? {}), not(or(unless)), rule['greylist'] === undefined || this.isStranger()]);
  }

  /** "A defer with memory": whoever has passed is not deferred; who is not remembered is new. */
  private isStranger(): Tri {
    const { greylist } = this.facts;
    return isUnknown(greylist) ? 'unknown' : greylist !== 'passed';
  }

  private all(conditions: Json): Tri {
    return and(Object.entries(conditions).map(([fact, wanted]) => this.condition(fact, wanted)));
  }

  private condition(fact: string, wanted: unknown): Tri {
    if (isObject(wanted) && 'not' in wanted) return not(this.condition(fact, wanted['not']));
    const every = isObject(wanted) && 'all' in wanted;
    return this.compare(fact, every ? wanted['all'] : wanted, every);
  }

  /** "An absent fact matches only `none`"; of several values some must be in the set, with `all` every one. */
  private compare(fact: string, wanted: unknown, every: boolean): Tri {
    const value = this.read(fact);
    const none = asList(wanted).includes('none') && !every;
    if (value === undefined) return none;
    if (Array.isArray(value)) {
      if (value.length === 0) return none;
      const each = (value as readonly string[]).map((one) => this.inSet(fact, wanted, one));
      return every ? and(each) : or(each);
    }
    return isUnknown(value) ? 'unknown' : this.inSet(fact, wanted, value as string | number | boolean);
  }

  private inSet(fact: string, wanted: unknown, value: string | number | boolean): Tri {
    if (wanted === 'any' && fact !== 'listener') return true;
    if (isObject(wanted)) return typeof value === 'number' && isWithin(wanted, value);
    return or(
      asList(wanted).map((one): Tri => {
        if (one === 'none') return value === 'none';
        if (typeof one !== 'string') return one === value;
        if (NAMES.includes(fact)) return one === value;
        return typeof value === 'string' ? this.memberOf(fact, one, value, !Array.isArray(wanted)) : 'unknown';
      }),
    );
  }

  private list(name: string): Json | undefined {
    const lists = (this.document['lists'] ?? {}) as Readonly<Record<string, Json | undefined>>;
    return Object.hasOwn(lists, name) ? lists[name] : undefined;
  }

  /** A literal, or the name of a list. */
  private memberOf(fact: string, one: string, value: string, mayBeList = true): Tri {
    const isWord = fact !== 'ip' && !ADDRESSES.includes(fact) && !DOMAINS.includes(fact);
    const list = (isWord && !mayBeList) || /[.@/:]/.test(one) ? undefined : this.list(one);
    if (list === undefined) return this.matches(fact, one, value);
    const entries = list['source'] === 'managed' ? this.managed[one] : (list['entries'] as readonly string[]);
    if (entries === undefined) return 'unknown';
    const asFact = list['type'] === 'address' && !ADDRESSES.includes(fact) ? 'sender' : fact;
    return entries.some((entry) => this.matches(asFact, entry, value));
  }

  private matches(fact: string, entry: string, value: string): boolean {
    if (fact === 'ip') return isInNetwork(entry, value);
    if (ADDRESSES.includes(fact)) return this.matchesAddress(entry, value);
    const domain = DOMAINS.includes(fact) && value.includes('@') ? domainOf(value) : value.toLowerCase();
    if (!DOMAINS.includes(fact)) return entry.toLowerCase() === domain;
    return entry.startsWith('.')
      ? domain.endsWith(entry.toLowerCase()) && domain.length > entry.length
      : entry.toLowerCase() === domain;
  }

  /** "Local parts compare without case for our own domains, and exactly for others." */
  private matchesAddress(entry: string, value: string): boolean {
    if (domainOf(entry) !== domainOf(value)) return false;
    if (localOf(entry) === '*') return true;
    const ours = this.entryOf(domainOf(value)).covers === true;
    const [a, b] = [localOf(entry), localOf(value)];
    return ours ? a.toLowerCase() === b.toLowerCase() : a === b;
  }

  private read(fact: string): Value | undefined {
    const { sender } = this.facts;
    const own: Readonly<Record<string, () => Value | undefined>> = {
      tag: () => this.tags,
      client: () => this.client,
      recipient: () => this.recipient,
      'recipient.original': () => this.original,
      'recipient.known': () => this.known(),
      sender: () => (sender === '' ? undefined : sender),
      'sender.null': () => (typeof sender === 'string' ? sender === '' : sender),
    };
    const read = own[fact];
    if (read !== undefined) return read();
    const [base, part] = fact.split('.');
    if ((base !== 'sender' && base !== 'recipient') || (part !== 'domain' && part !== 'local')) return this.facts[fact];
    const address = this.read(base);
    if (typeof address !== 'string') return address;
    return part === 'domain' ? domainOf(address) : localOf(address);
  }

  /** Whether `domains` lists the recipient; absent for domains that are not ours. */
  private known(): Value | undefined {
    const { recipient } = this;
    if (typeof recipient !== 'string') return recipient;
    const { covers, entry } = this.entryOf(domainOf(recipient));
    if (covers === 'unknown') return { unknown: 'whose domain' };
    if (entry === undefined) return undefined;
    if (entry['recipients'] === 'any') return true;
    const name = String(entry['recipients']);
    const members = this.list(name)?.['source'] === 'managed' ? this.managed[name] : this.list(name)?.['entries'];
    if (members === undefined) return { unknown: 'list not loaded' };
    const wanted = recipient.toLowerCase();
    return (members as readonly string[]).some((entry) => {
      const lower = entry.toLowerCase();
      return lower === wanted || (lower.startsWith('*@') && domainOf(lower) === domainOf(wanted));
    });
  }
}
