/** The facts of one judgement, with those that follow from others, and what rules have added so far. */
import type { Snapshot } from './snapshot.js';
import type { Step } from './trace.js';
import type { Facts, FactValue, HeaderEdit } from './types.js';
import { splitAddress, type Address } from './values/addresses.js';
import { parseInstantMs } from './values/units.js';
import { acceptedBy, knownRecipient } from './grants.js';
import { NO, type Tri } from './tri.js';

/** Known from helo on; before, and when nobody matches, absent. */
export type ClientFact = string | undefined | { readonly unknown: string };

export class Scope {
  readonly tags: string[] = [];
  /** Changes to the header by lower-case name: the last one counts. */
  readonly headers = new Map<string, HeaderEdit>();
  readonly addRecipients: { readonly address: string; readonly by: string }[] = [];
  redirect: { readonly address: string; readonly by: string } | undefined;
  /** Rule that a person has overruled: it decides nothing. */
  overridden: string | undefined;
  /** What rules of this phase and those before make the client wait. */
  delayMs = 0;
  client: ClientFact = undefined;
  /** After rewriting; until then as given. */
  recipient: FactValue | undefined;
  /** As the client gave it. */
  original: FactValue | undefined;
  /** For the analyser: ids of the rules that held. */
  reached: Set<string> | undefined;
  private readonly senderParts = new Parts();
  private readonly recipientParts = new Parts();
  private ownDomain: string | undefined;
  private own: Tri = NO;

  constructor(
    readonly snapshot: Snapshot,
    readonly facts: Facts,
    readonly trace?: Step[],
  ) {
    this.recipient = facts['recipient'];
    this.original = this.recipient;
  }

  /** The value of a fact; `undefined` = absent. */
  read(name: string): FactValue | undefined {
    switch (name) {
      case 'tag':
        return this.facts['tag'] ?? this.tags;
      case 'client':
        return this.clientFact();
      case 'sender':
        return this.facts['sender'] === '' ? undefined : this.facts['sender'];
      case 'recipient':
        return this.recipient;
      case 'recipient.original':
        return this.facts[name] ?? this.original;
      default:
        return this.facts[name] ?? this.derive(name);
    }
  }

  /** Whether local parts of this domain compare without case: it is one of ours. */
  isOwnDomain(domain: string): boolean {
    if (this.ownDomain !== domain) {
      this.ownDomain = domain;
      this.own = acceptedBy(this, domain).covered;
    }
    return this.own === 1;
  }

  /** The time by which rules expire. */
  nowMs(): number | undefined {
    const { time } = this.facts;
    const given = typeof time === 'string' ? parseInstantMs(time) : undefined;
    return given ?? this.snapshot.compiledAtMs;
  }

  /** A client can be unknown by a test's word, never be given: who is talking follows from the other facts alone. */
  private clientFact(): FactValue | undefined {
    const { client } = this.facts;
    return typeof client === 'object' && 'unknown' in client ? client : this.client;
  }

  private derive(name: string): FactValue | undefined {
    switch (name) {
      case 'sender.null':
        return deriveNull(this.facts['sender']);
      case 'sender.domain':
        return this.senderParts.of(this.read('sender'), 'domain');
      case 'sender.local':
        return this.senderParts.of(this.read('sender'), 'local');
      case 'recipient.domain':
        return this.recipientParts.of(this.recipient, 'domain');
      case 'recipient.local':
        return this.recipientParts.of(this.recipient, 'local');
      case 'recipient.known':
        return knownRecipient(this);
      case 'from.domain':
        return domainsOf(this.facts['from']);
      case 'from.count':
        return countOf(this.facts['from']);
      default:
        return undefined;
    }
  }
}

function domainsOf(addresses: FactValue | undefined): FactValue | undefined {
  if (typeof addresses === 'string') return splitAddress(addresses)?.domain.toLowerCase();
  if (!Array.isArray(addresses)) return addresses;
  return addresses.flatMap((address) => splitAddress(String(address))?.domain.toLowerCase() ?? []);
}

function countOf(addresses: FactValue | undefined): FactValue | undefined {
  return Array.isArray(addresses) ? addresses.length : typeof addresses === 'string' ? 1 : addresses;
}

function deriveNull(sender: FactValue | undefined): FactValue | undefined {
  return typeof sender === 'string' ? sender === '' : sender;
}

/** Takes an address apart once, however many rules ask. */
class Parts {
  private address: string | undefined;
  private parts: Address | undefined;

  of(address: FactValue | undefined, part: 'local' | 'domain'): FactValue | undefined {
    if (typeof address !== 'string') return address;
    if (address !== this.address) {
      const parts = splitAddress(address);
      this.address = address;
      this.parts = parts === undefined ? undefined : { local: parts.local, domain: parts.domain.toLowerCase() };
    }
    return this.parts?.[part];
  }
}
