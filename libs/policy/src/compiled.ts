/** A policy that has been checked: definitions ready to use, and the program that judges. */
import type {
  Finding,
  ListenerDefinition,
  ManagedListDefinition,
  PolicyLimits,
  RetryProfile,
  RouteDefinition,
} from './types.js';

export interface CompiledPolicy {
  readonly name: string;
  readonly description: string;
  readonly listeners: readonly ListenerDefinition[];
  readonly managedLists: readonly ManagedListDefinition[];
  readonly routes: ReadonlyMap<string, RouteDefinition>;
  readonly retryProfiles: ReadonlyMap<string, RetryProfile>;
  readonly limits: PolicyLimits;
  /** Facts that some rule, client or domain of this policy asks for: the gateway need not fetch others. */
  readonly usedFacts: ReadonlySet<string>;
}

export type CompileResult =
  | { readonly ok: true; readonly policy: CompiledPolicy; readonly findings: readonly Finding[] }
  | { readonly ok: false; readonly findings: readonly Finding[] };
