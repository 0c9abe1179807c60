/** A policy that has been checked: definitions ready to use, and the program that judges. */
import type { LimitProfile } from './limit-types.js';
import type { NoticePolicy } from './notice-types.js';
import type { Program } from './program.js';
import type {
  Finding,
  ListenerDefinition,
  ManagedListDefinition,
  MixedVerdicts,
  PolicyLimits,
  RetryProfile,
  ReviewQueue,
  RouteDefinition,
  SigningKeyUse,
} from './types.js';

/** Each phase needs its own and those of the phases before. */
export interface NeededFacts {
  readonly connect: ReadonlySet<string>;
  readonly helo: ReadonlySet<string>;
  /** Also what rcpt and routing rules ask for, and what `settings.facts` wants recorded. */
  readonly mail: ReadonlySet<string>;
  /** Zones of the DNS lists that some rule names. */
  readonly dnsLists: readonly string[];
}

export interface CompiledPolicy {
  readonly name: string;
  readonly description: string;
  readonly listeners: readonly ListenerDefinition[];
  readonly managedLists: readonly ManagedListDefinition[];
  readonly routes: ReadonlyMap<string, RouteDefinition>;
  /** `default` is always there. */
  readonly retryProfiles: ReadonlyMap<string, RetryProfile>;
  readonly limits: PolicyLimits;
  /** Days that the audit is kept at least; absent where the policy does not say. */
  readonly auditDays?: number;
  readonly notices: NoticePolicy;
  /** `limits`, in their order. */
  readonly limitProfiles: readonly LimitProfile[];
  readonly mixedVerdicts: MixedVerdicts;
  /** Keys that mail may be signed or sealed with, in the order of the document. */
  readonly signing: readonly (SigningKeyUse & { readonly pointer: string })[];
  /** Name that Authentication-Results are written under; absent: the gateway's own. */
  readonly authservId?: string;
  /** `mixed` is always there. */
  readonly reviewQueues: ReadonlyMap<string, ReviewQueue>;
  /** Facts of the content that message rules or `settings.facts` ask for; absent when there is nothing to be judged. */
  readonly contentFacts?: ReadonlySet<string>;
  /** Facts that some rule or client of this policy asks for: the gateway need not fetch others. */
  readonly usedFacts: ReadonlySet<string>;
  /** Facts that must be known when a phase is judged, by the first phase that asks for them. */
  readonly neededFacts: NeededFacts;
  /** Internal: only this library may look inside. */
  readonly program: Program;
}

export type CompileResult =
  | { readonly ok: true; readonly policy: CompiledPolicy; readonly findings: readonly Finding[] }
  | { readonly ok: false; readonly findings: readonly Finding[] };
