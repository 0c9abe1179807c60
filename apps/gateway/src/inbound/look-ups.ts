/**
 * Facts of one session that must be looked up. They are begun as soon as the client is known, and waited for only by the
 * phase whose rules ask for them; what nobody asks for is never asked.
 */
import type { FactValue, NeededFacts } from '#policy';
import type { DnsFacts } from './dns-facts.js';

type SessionFact = 'rdns' | 'dnsbl';

export class LookUps {
  readonly #dns: DnsFacts;
  readonly #address: string;
  readonly #known: Record<string, FactValue> = {};
  readonly #underWay = new Map<SessionFact, Promise<void>>();
  readonly #answered = new Set<SessionFact>();
  /** Zones that the fact `dnsbl` is about. */
  #zones = '';

  /** `confirmedName`: what a front end says of the client's name (XCLIENT); it is not looked up again. */
  constructor(dns: DnsFacts, address: string, confirmedName?: string) {
    this.#dns = dns;
    this.#address = address;
    if (confirmedName === undefined) return;
    this.#known['rdns'] = [confirmedName];
    this.#underWay.set('rdns', Promise.resolve());
    this.#answered.add('rdns');
  }

  /** Those that have been answered; a look-up without an answer of its own (no name) leaves no fact. */
  get known(): Readonly<Record<string, FactValue>> {
    return this.#known;
  }

  /** Begins what any phase of the policy needs. Cheap when it has been begun before. */
  begin({ connect, helo, mail, dnsLists }: NeededFacts): void {
    const needs = (fact: SessionFact): boolean => connect.has(fact) || helo.has(fact) || mail.has(fact);
    if (needs('rdns') && !this.#underWay.has('rdns')) this.#look('rdns', this.#dns.reverseNames(this.#address));
    const zones = dnsLists.join(' ');
    if (!needs('dnsbl') || zones === this.#zones) return;
    this.#zones = zones;
    Reflect.deleteProperty(this.#known, 'dnsbl');
    this.#look('dnsbl', this.#dns.listedIn(this.#address, dnsLists));
  }

  /** Resolves when what these phases ask for is known; undefined when it is, or when nobody has begun it. */
  settled(...phases: readonly ReadonlySet<string>[]): Promise<unknown> | undefined {
    if (this.#underWay.size === 0) return undefined;
    const isAsked = (fact: SessionFact): boolean => phases.some((facts) => facts.has(fact));
    const open = [...this.#underWay].filter(([fact]) => isAsked(fact) && !this.#answered.has(fact));
    return open.length === 0 ? undefined : Promise.all(open.map(([, done]) => done));
  }

  #look(fact: SessionFact, answer: Promise<FactValue | undefined>): void {
    this.#answered.delete(fact);
    const done: Promise<void> = answer.then((value) => {
      if (this.#underWay.get(fact) !== done) return;
      this.#answered.add(fact);
      if (value !== undefined) this.#known[fact] = value;
    });
    this.#underWay.set(fact, done);
  }
}
