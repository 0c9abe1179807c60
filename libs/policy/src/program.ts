/**
 * What a policy compiles to: rules and tables that the evaluator walks. Internal to this library; nothing outside may
 * depend on its shape.
 */
import type { LimitTable } from './limit-types.js';
import type { RuleIndex } from './rule-index.js';
import type { EntryTable } from './sets/tables.js';
import type {
  DecisionReply,
  Facts,
  GreylistTerms,
  HeaderEdit,
  ListType,
  MixedVerdicts,
  Verdict,
  SigningKeyUse,
} from './types.js';
import type { AclPhase, FactDefinition } from './vocabulary.js';

/** Anything that can say which of its entries covers a value. */
export interface Matcher {
  match(value: string, foldLocal: boolean): string | undefined;
}

/** One declared list. `inline` is absent for managed lists: the snapshot supplies them. */
export interface ListSlot {
  readonly name: string;
  readonly type: ListType;
  readonly inline?: Matcher;
  /** Canonical entries of an inline list, patterns included. */
  readonly entries: readonly string[];
  readonly within?: string;
  readonly deny: boolean;
  readonly pointer: string;
}

/** Literals and lists, by the lists' slot numbers. */
export interface Members {
  readonly literals?: EntryTable;
  readonly literalTexts: readonly string[];
  readonly slots: readonly number[];
}

export interface Bounds {
  readonly min: number;
  readonly minIncluded: boolean;
  readonly max: number;
  readonly maxIncluded: boolean;
}

export type ValueSet =
  | { readonly kind: 'members'; readonly members: Members }
  /** Every value there can be: `any`. */
  | { readonly kind: 'any' }
  | { readonly kind: 'words'; readonly words: ReadonlySet<string> }
  | { readonly kind: 'numbers'; readonly numbers: ReadonlySet<number> }
  | { readonly kind: 'bounds'; readonly bounds: Bounds }
  | { readonly kind: 'booleans'; readonly booleans: ReadonlySet<boolean> }
  /** Minutes after midnight in the zone; `from` included, `to` not; may pass midnight. */
  | { readonly kind: 'clock'; readonly from: number; readonly to: number; readonly zone: Intl.DateTimeFormat };

/** `fact ∈ set`, possibly negated. */
export interface Condition {
  readonly fact: FactDefinition;
  readonly negated: boolean;
  /** `{ all: x }`. */
  readonly every: boolean;
  /** `none` is among the values: an absent fact is in the set. */
  readonly none: boolean;
  readonly set: ValueSet;
  /** As it was written, for explanations. */
  readonly text: string;
  readonly pointer: string;
}

export interface Rule {
  /** `phase/name`. */
  readonly id: string;
  readonly when: readonly Condition[];
  readonly unless: readonly Condition[];
  readonly verdict?: Verdict;
  readonly reply?: DecisionReply;
  /** The verdict is a deferral with a memory: `when` has the condition on it. */
  readonly greylist?: GreylistTerms;
  readonly tags: readonly string[];
  /** How long the answer waits, on top of what other rules say. */
  readonly delayMs: number;
  readonly onUnknown: 'defer' | 'skip' | 'match';
  readonly monitor: boolean;
  /** Milliseconds since the epoch at which the rule becomes inert. */
  readonly expiresAtMs?: number;
  readonly answer: 'now' | 'at-rcpt';
  /** Review queue, for `hold`. */
  readonly queue?: string;
  readonly headers: readonly HeaderEdit[];
  readonly addRecipients: readonly string[];
  readonly redirect?: string;
  readonly pointer: string;
}

/** A copy for every accepted recipient for whom it holds. */
export interface CopyRule {
  readonly id: string;
  readonly when: readonly Condition[];
  readonly unless: readonly Condition[];
  readonly route: string;
  readonly expiresAtMs?: number;
  readonly pointer: string;
}

/** One entry of `signing`, or of `sealing`. */
export interface SigningRule {
  /** `signing/example.com/s1`. */
  readonly id: string;
  readonly signature: SigningKeyUse;
  readonly when: readonly Condition[];
  readonly unless: readonly Condition[];
  readonly pointer: string;
}

/** Domains and addresses, for grants: whom a client may write to or write as, what is accepted. */
export interface Grant {
  readonly domains: Members;
  readonly addresses: Members;
  /** `own-identities`: the addresses in the fact `auth.identities`. */
  readonly ownIdentities: boolean;
}

/** What the judge has to know of a listener. */
export interface ListenerProgram {
  readonly name: string;
  readonly tlsRequired: boolean;
  readonly authRequired: boolean;
  /** Who may speak for others by the PROXY protocol, by XCLIENT. */
  readonly proxies?: Members;
  readonly xclients?: Members;
}

export interface Client {
  readonly name: string;
  readonly match: readonly Condition[];
  readonly relay?: 'anywhere' | Grant;
  readonly senders?: Grant;
  readonly pointer: string;
}

export interface AcceptedDomain {
  readonly match: Members;
  /** Slot of the list of recipients; absent = any. */
  readonly recipients?: number;
  readonly recipientsManaged: boolean;
  readonly pointer: string;
}

export interface Rewriting {
  readonly id: string;
  /** Lower-case local part, or `*`. */
  readonly fromLocal: string;
  readonly fromDomain: string;
  /** `{local}` in the first stands for the local part. */
  readonly toLocal: string;
  readonly toDomain: string;
  readonly external: boolean;
  readonly pointer: string;
}

export interface RoutingRule {
  readonly id: string;
  readonly when: readonly Condition[];
  readonly unless: readonly Condition[];
  readonly route: string;
  readonly expiresAtMs?: number;
  readonly pointer: string;
}

export interface CompiledTest {
  readonly name: string;
  readonly facts: Facts;
  readonly lists: Readonly<Record<string, readonly string[]>>;
  readonly expect: {
    readonly verdict: Verdict;
    readonly by?: string;
    readonly route?: string;
    readonly client?: string;
    readonly recipient?: string;
    readonly code?: number;
    readonly tags: readonly string[];
    readonly queue?: string;
    readonly headers: readonly (readonly [name: string, value: string])[];
    readonly added: readonly string[];
    /** `DOMAIN/SELECTOR`, all that sign; empty: nothing does. */
    readonly signed?: readonly string[];
    /** The same of the one that seals. */
    readonly sealed?: string;
  };
  readonly pointer: string;
}

export interface CompiledInvariant {
  readonly name: string;
  readonly conditions: readonly Condition[];
  readonly verdict?: Verdict;
  readonly routes?: { readonly negated: boolean; readonly names: ReadonlySet<string> };
  readonly pointer: string;
}

export interface Program {
  readonly listeners: ReadonlyMap<string, ListenerProgram>;
  readonly lists: readonly ListSlot[];
  readonly clients: readonly Client[];
  readonly domains: readonly AcceptedDomain[];
  readonly acl: Readonly<Record<AclPhase, readonly Rule[]>>;
  /** Absent for phases with few rules. */
  readonly aclIndex: Readonly<Partial<Record<AclPhase, RuleIndex>>>;
  readonly rewriting: readonly Rewriting[];
  readonly routing: readonly RoutingRule[];
  /** Absent where there are few. */
  readonly routingIndex?: RuleIndex;
  readonly copies: readonly CopyRule[];
  /** In the order of the document. */
  readonly signing: readonly SigningRule[];
  readonly sealing: readonly SigningRule[];
  /** Absent where there are none: then nobody looks. */
  readonly limits?: LimitTable;
  readonly mixedVerdicts: MixedVerdicts;
  readonly postmasterDomain?: string;
  readonly tests: readonly CompiledTest[];
  readonly invariants: readonly CompiledInvariant[];
}
