/** Facts that depend on each other: combinations that no session can have are no counter-examples. */
import type { CompiledPolicy } from '../compiled.js';
import type { Facts, ListenerDefinition } from '../types.js';

/** `asked`: facts that were given every value they can have; the absence of another one says nothing. */
export function isReal(policy: CompiledPolicy, facts: Facts, asked: ReadonlySet<string>): boolean {
  const listener = policy.listeners.find(({ name }) => name === facts['listener']);
  const seen = new SeenFacts(facts, asked);
  return isRealTls(listener, seen) && isRealAuth(listener, seen) && isRealSender(seen);
}

class SeenFacts {
  constructor(
    readonly facts: Facts,
    private readonly asked: ReadonlySet<string>,
  ) {}

  has(...names: readonly string[]): boolean {
    return names.some((name) => this.facts[name] !== undefined);
  }

  /** Known to be absent. */
  lacks(...names: readonly string[]): boolean {
    return names.some((name) => this.asked.has(name) && this.facts[name] === undefined);
  }
}

function isRealTls(listener: ListenerDefinition | undefined, seen: SeenFacts): boolean {
  const { tls } = seen.facts;
  if (tls === false && listener?.tls?.mode === 'implicit') return false;
  if (!isRealCertificate(listener, seen)) return false;
  if (tls !== true && !seen.has('cert.name', 'cert.fingerprint', 'tls.version')) return true;
  return tls !== false && listener?.tls !== undefined && !seen.lacks('tls.version');
}

function isRealCertificate(listener: ListenerDefinition | undefined, seen: SeenFacts): boolean {
  if (!seen.has('cert.name', 'cert.fingerprint')) return true;
  return listener?.tls?.clientCertificates === 'request' && !(seen.has('cert.name') && seen.lacks('cert.fingerprint'));
}

function isRealAuth(listener: ListenerDefinition | undefined, seen: SeenFacts): boolean {
  if (!seen.has('auth', 'auth.method', 'auth.identities')) return true;
  if (listener?.auth === undefined || seen.lacks('auth', 'auth.method')) return false;
  return seen.facts['tls'] !== false || listener.auth.withoutTls;
}

function isRealSender(seen: SeenFacts): boolean {
  const isNull = seen.facts['sender'] === '';
  return isNull ? !seen.has('sender.has-mx') : !seen.lacks('sender.has-mx');
}
