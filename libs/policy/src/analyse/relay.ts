/**
 * The relay proof. Only `listeners`, `clients`, `domains` and `rewriting` can give relay, so looking at them is enough.
 *
 * R1: somebody unidentified may relay.  R2: relay by address where addresses say too little.  R3: a list that others
 * may edit gives rights without a bound.  R4: relay without a bound on senders.  C1: an address that a container
 * gateway or a proxy gives to the whole world is trusted.
 */
import type { CompileContext } from '../compile/context.js';
import { meansSignedIn, membersTexts } from '../compile/parties.js';
import type { CompiledPolicy } from '../compiled.js';
import type { ClientDocument, ListenerDocument } from '../document.js';
import { joinPointer, type Findings } from '../findings.js';
import type { AcceptedDomain, Client, Condition, Members } from '../program.js';
import type { Facts, ListenerDefinition } from '../types.js';
import { tableOf } from '../sets/tables.js';
import { parseNetwork, touchesLocalSpace, isLocalSpace, type Network } from '../values/networks.js';
import type { FactDefinition } from '../vocabulary.js';
import { RelayExamples, wouldBe } from './relay-example.js';

export function analyseRelay(context: CompileContext, policy: CompiledPolicy, findings: Findings): void {
  const proof = new RelayProof(context, policy, findings);
  for (const client of policy.program.clients) proof.client(client);
  for (const domain of policy.program.domains) proof.domain(domain);
  proof.grants();
}

/** More public addresses than this can not all be known. */
const WIDEST_IPV4 = 1n << 16n;
const WIDEST_IPV6 = 1n << 80n;

class RelayProof {
  private readonly waivable: ReadonlyMap<string, ClientDocument>;
  private readonly examples: RelayExamples;

  constructor(
    private readonly context: CompileContext,
    private readonly policy: CompiledPolicy,
    private readonly findings: Findings,
  ) {
    this.examples = new RelayExamples(policy);
    this.waivable = new Map((context.document.clients ?? []).map((client) => [client.name, client]));
  }

  client(client: Client): void {
    this.canBeMet(client);
    const ip = client.match.find((condition) => condition.fact.name === 'ip');
    const networks = ip === undefined ? [] : this.networksOf(ip);
    const trustsLocal = ip !== undefined && !ip.negated && networks.some(touchesLocalSpace);
    if (trustsLocal && !this.namesInternalListener(client)) {
      this.localAddressTrusted(client, ip);
    } else if (client.relay !== undefined) {
      this.relayRight(client, ip, networks);
    }
    const leaves = [...this.policy.routes.values()].some((route) => route.kind !== 'file');
    if (client.relay !== undefined && client.senders === undefined && leaves) {
      const message = `client \`${client.name}\` may relay with any sender, expected \`senders\` to say as whom`;
      this.findings.warns('R4', client.pointer, message);
    }
  }

  /** An entry of `domains` wide enough to make us a relay for strangers. */
  domain(domain: AcceptedDomain): void {
    const at = joinPointer(domain.pointer, 'match');
    for (const text of membersTexts(this.context, domain.match)) {
      if (/^\.[^.]+$/.test(text)) {
        this.openDomain(at, `\`${text}\` accepts mail for a whole top-level domain`, entryOf(text));
      }
    }
    for (const slot of domain.match.slots) {
      const list = this.policy.program.lists[slot];
      if (list?.type === 'regex') {
        this.openDomain(at, `list \`${list.name}\` of type \`regex\` accepts domains that nobody can enumerate`, {
          slots: [slot],
          literalTexts: [],
        });
      } else if (list !== undefined && list.inline === undefined && list.within === undefined) {
        this.openDomain(at, `managed list \`${list.name}\` has no \`within\`, so that any domain can be added to it`, {
          slots: [slot],
          literalTexts: [],
        });
      } else if (list?.within !== undefined) {
        this.boundOf(list.within, at, slot);
      }
    }
  }

  grants(): void {
    for (const { list, pointer, grant } of this.context.uses) {
      const slot = this.policy.program.lists.find((each) => each.name === list);
      if (grant === undefined || slot === undefined) continue;
      if (slot.deny) {
        this.findings.blocks('R3', pointer, `list \`${list}\` has \`use: deny\` but gives ${grant}`);
      } else if (slot.inline === undefined && slot.within === undefined) {
        this.findings.blocks(
          'R3',
          pointer,
          `managed list \`${list}\` gives ${grant} to whatever is added to it, expected \`within\` on the list`,
        );
      }
    }
  }

  private boundOf(within: string, at: string, slot: number): void {
    const bound = this.policy.program.lists.find((list) => list.name === within);
    const wide = bound?.entries.find((entry) => /^\.[^.]+$/.test(entry));
    if (wide !== undefined)
      this.openDomain(at, `the bound \`${wide}\` is a whole top-level domain`, { slots: [slot], literalTexts: [] });
  }

  private openDomain(pointer: string, what: string, match: Members): void {
    this.refute('R1', pointer, what, this.examples.ofDomain(match));
  }

  private refute(code: string, pointer: string, what: string, example: Facts | undefined): void {
    const message = `${what}${wouldBe(example)}`;
    if (example === undefined) this.findings.blocks(code, pointer, message);
    else this.findings.refutes(code, pointer, message, example);
  }

  private localAddressTrusted(client: Client, ip: Condition): void {
    const message =
      `client \`${client.name}\` is known by a private, loopback or link-local address, which a container gateway or a ` +
      'proxy gives to everybody, expected a `listener` with `exposure: internal` beside it';
    this.refute('C1', ip.pointer, message, this.exampleOf(client));
  }

  private relayRight(client: Client, ip: Condition | undefined, networks: readonly Network[]): void {
    const signedIn = client.match.find(meansSignedIn);
    if (signedIn !== undefined) this.overheard(client, signedIn);
    if (signedIn !== undefined || client.match.some((each) => this.isExactCertificate(each))) return;
    const byAddress =
      isIdentifying(ip) || client.match.some((each) => each.fact.name === 'rdns' && isIdentifying(each));
    if (!byAddress) {
      this.unidentified(client, ip);
      return;
    }
    const exposed = this.listenersOf(client).find((listener) => listener.exposure === 'internet');
    if (exposed !== undefined) {
      const message = `client \`${client.name}\` may relay by its address alone on listener \`${exposed.name}\`, which the internet reaches`;
      this.waivableFinding(client, exposed, message);
      return;
    }
    const size = publicSize(isIdentifying(ip) ? networks : []);
    if (client.relay === 'anywhere' && (size.v4 > WIDEST_IPV4 || size.v6 > WIDEST_IPV6)) {
      const message = `client \`${client.name}\` may relay anywhere from more public addresses than a /16 (IPv4) or a /48 (IPv6)`;
      this.waivableFinding(client, undefined, message);
    }
  }

  /** A password that crosses the net unencrypted is everybody's. */
  private overheard(client: Client, signedIn: Condition): void {
    const open = this.listenersOf(client).find(
      ({ auth, tls }) => auth !== undefined && (auth.withoutTls || tls === undefined),
    );
    if (open === undefined) return;
    const message =
      `client \`${client.name}\` may relay, and listener \`${open.name}\` takes its password without TLS, so that whoever ` +
      'overhears it may too, expected no `without-tls`';
    this.refute('R1', signedIn.pointer, message, this.exampleOf(client));
  }

  /** What a client is known by must be asked for on a listener where it may come. */
  private canBeMet(client: Client): void {
    const listeners = this.listenersOf(client);
    const missing = client.match.find(
      ({ fact, negated, none }) =>
        !negated && !none && listeners.length > 0 && !listeners.some((each) => offers(each, fact)),
    );
    if (missing === undefined) return;
    const names = listeners.map(({ name }) => `\`${name}\``).join(', ');
    const key = missing.fact.name.startsWith('cert.')
      ? 'client-certificates: request'
      : missing.fact.name.split('.')[0];
    const message = `client \`${client.name}\` can never be met, no \`${missing.fact.name}\` is known on ${names}, expected \`${key ?? ''}\` there`;
    this.findings.blocks('P1', missing.pointer, message);
  }

  /** A client certificate by exact name or fingerprint. A pattern may match names that anybody can get. */
  private isExactCertificate(condition: Condition): boolean {
    const { fact, set } = condition;
    if (!isIdentifying(condition) || (fact.name !== 'cert.name' && fact.name !== 'cert.fingerprint')) return false;
    return (
      set.kind === 'members' && set.members.slots.every((slot) => this.policy.program.lists[slot]?.type !== 'regex')
    );
  }

  /** HELO, a listener alone, TLS alone, time, negations: a stranger can have them all. */
  private unidentified(client: Client, ip: Condition | undefined): void {
    const by = client.match.map((condition) => condition.text).join(', ');
    const message =
      `client \`${client.name}\` may relay but anybody can be it (${by}), expected \`auth\`, a client certificate, or \`ip\` on a listener with ` +
      '`exposure: internal`';
    this.refute('R1', ip?.pointer ?? joinPointer(client.pointer, 'match'), message, this.exampleOf(client));
  }

  /** Mail that the client relays, where it has the right to. */
  private exampleOf(client: Client): Facts | undefined {
    return client.relay === undefined ? undefined : this.examples.ofClient(client.name);
  }

  private waivableFinding(client: Client, listener: ListenerDefinition | undefined, message: string): void {
    const own = this.waivable.get(client.name)?.waive;
    const listeners = this.context.document.listeners as Readonly<Record<string, ListenerDocument>>;
    const waive = own ?? (listener === undefined ? undefined : listeners[listener.name]?.waive);
    if (waive === undefined) this.refute('R2', client.pointer, message, this.exampleOf(client));
    else
      this.findings.informs('R2', client.pointer, `${message}; waived by ${waive.by} on ${waive.on}: ${waive.reason}`);
  }

  /** Listeners on which the client can be met. */
  private listenersOf(client: Client): readonly ListenerDefinition[] {
    const condition = client.match.find((each) => each.fact.name === 'listener');
    if (condition?.set.kind !== 'words') return this.policy.listeners;
    const { words } = condition.set;
    return this.policy.listeners.filter((listener) => words.has(listener.name) !== condition.negated);
  }

  private namesInternalListener(client: Client): boolean {
    const condition = client.match.find((each) => each.fact.name === 'listener');
    if (condition === undefined || condition.negated || condition.none) return false;
    return this.listenersOf(client).every((listener) => listener.exposure === 'internal');
  }

  /** Networks of an `ip` condition; of managed lists their bound. */
  private networksOf(ip: Condition): readonly Network[] {
    if (ip.set.kind !== 'members') return [];
    return textsOf(this.policy, ip.set.members).flatMap((text) => {
      const parsed = parseNetwork(text);
      return parsed.ok ? [parsed.network] : [];
    });
  }
}

function entryOf(text: string): Members {
  return { slots: [], literalTexts: [text], literals: tableOf('domain', [text]) };
}

/** Holds for somebody in particular. */
function isIdentifying(condition: Condition | undefined): boolean {
  return condition !== undefined && !condition.negated && !condition.none;
}

/** Whether the fact can have a value there. */
function offers({ tls, auth }: ListenerDefinition, fact: FactDefinition): boolean {
  if (fact.name === 'auth' || fact.name === 'auth.method') return auth !== undefined;
  if (fact.name.startsWith('cert.')) return tls?.clientCertificates === 'request';
  return fact.name !== 'tls.version' || tls !== undefined;
}

function textsOf(policy: CompiledPolicy, members: Members): readonly string[] {
  const { lists } = policy.program;
  return members.slots.reduce<readonly string[]>((texts, slot) => {
    const list = lists[slot];
    const bound = list?.within === undefined ? list : lists.find((each) => each.name === list.within);
    return [...texts, ...(bound?.entries ?? [])];
  }, members.literalTexts);
}

/** Public addresses of disjoint or nested networks, summed. */
function publicSize(networks: readonly Network[]): { readonly v4: bigint; readonly v6: bigint } {
  const outer = networks.filter(
    (network, index) =>
      !networks.some(
        (other, at) =>
          at !== index &&
          other.version === network.version &&
          other.first <= network.first &&
          network.last <= other.last &&
          (other.prefix < network.prefix || at < index),
      ),
  );
  const sum = (version: 4 | 6): bigint =>
    outer
      .filter((network) => network.version === version && !isLocalSpace(network))
      .reduce((total, network) => total + (network.last - network.first + 1n), 0n);
  return { v4: sum(4), v6: sum(6) };
}
