/** What the parts of the compiler share: findings, the names that exist, the lists by number. */
import type { PolicyDocument } from '../document.js';
import { STAND_IN_NAME } from '../document-faults.js';
import type { Findings } from '../findings.js';
import { nearest } from '../nearest.js';
import type { ListSlot } from '../program.js';
import { ACL_PHASES } from '../vocabulary.js';

export type NameKind = 'listener' | 'list' | 'client' | 'route' | 'retry' | 'tls' | 'tag' | 'review-queue' | 'limit';

/** Why a list is used; R3 judges by it. */
export interface ListUse {
  readonly list: string;
  readonly pointer: string;
  /** The use gives rights: relay, senders, clients, domains, or an exception from a refusal. */
  readonly grant?: string;
}

function keysOf(value: unknown): string[] {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.keys(value) : [];
}

/**
 * Names as they are written in the raw document, faulty items included: a reference to something that is written
 * wrongly is no second fault.
 */
export class CompileContext {
  readonly names: Readonly<Record<NameKind, ReadonlySet<string>>>;
  readonly slots: ListSlot[] = [];
  readonly slotByName = new Map<string, number>();
  readonly uses: ListUse[] = [];

  constructor(
    readonly document: PolicyDocument,
    raw: unknown,
    readonly findings: Findings,
    /** False when parts of the document were cut out because of their shape. */
    readonly complete: boolean,
  ) {
    const root = (typeof raw === 'object' && raw !== null ? raw : {}) as Record<string, unknown>;
    const clients = Array.isArray(root['clients']) ? (root['clients'] as unknown[]) : [];
    this.names = {
      listener: new Set(keysOf(root['listeners'])),
      list: new Set(keysOf(root['lists'])),
      client: new Set(clients.map(nameOf)),
      route: new Set(keysOf(root['routes'])),
      retry: new Set(keysOf(root['retry'])),
      tls: new Set(keysOf(root['tls'])),
      tag: collectTags(root),
      limit: new Set((Array.isArray(root['limits']) ? (root['limits'] as unknown[]) : []).map(nameOf)),
      'review-queue': new Set(['mixed', ...keysOf(root['review-queues'])]),
    };
  }

  /** Reports a name that does not exist. */
  unknownName(kind: NameKind, name: string, pointer: string, code = 'D4'): void {
    const guess = nearest(name, this.names[kind]);
    const hint = guess === undefined ? expectedOneOf(this.names[kind]) : `, did you mean \`${guess}\`?`;
    this.findings.blocks(code, pointer, `unknown ${KIND_WORDS[kind] ?? kind} \`${name}\`${hint}`, guess);
  }

  /** Whether the name exists; reports it otherwise. */
  requireName(kind: NameKind, name: string, pointer: string, code?: string): boolean {
    if (this.names[kind].has(name) || this.standsIn(kind, name)) return true;
    this.unknownName(kind, name, pointer, code);
    return false;
  }

  /** A mandatory section that is missing is one fault: what names its members, or stands in for them, is no second one. */
  private standsIn(kind: NameKind, name: string): boolean {
    if (this.complete || (kind !== 'listener' && kind !== 'route')) return false;
    return name === STAND_IN_NAME || this.names[kind].size === 0;
  }
}

const KIND_WORDS: Partial<Record<NameKind, string>> = {
  retry: 'retry profile',
  tls: 'TLS profile',
  'review-queue': 'review queue',
};

const MAX_NAMES_SHOWN = 8;

function expectedOneOf(names: ReadonlySet<string>): string {
  if (names.size === 0 || names.size > MAX_NAMES_SHOWN) return '';
  return `, expected ${names.size > 1 ? 'one of ' : ''}${[...names].map((name) => `\`${name}\``).join(', ')}`;
}

function nameOf(item: unknown): string {
  const name = typeof item === 'object' && item !== null && 'name' in item ? item.name : undefined;
  return typeof name === 'string' ? name : '';
}

function collectTags(root: Record<string, unknown>): ReadonlySet<string> {
  const acl = (root['acl'] ?? {}) as Record<string, unknown>;
  const rules = ACL_PHASES.flatMap((phase) => (Array.isArray(acl[phase]) ? (acl[phase] as unknown[]) : []));
  const tags = rules.flatMap((rule) => (rule as Record<string, unknown> | null)?.['tag'] ?? []);
  return new Set(tags.filter((tag) => typeof tag === 'string'));
}
