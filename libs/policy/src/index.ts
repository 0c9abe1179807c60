/**
 * The policy language: reading, checking, compiling, judging, explaining. Pure; nothing here touches the world.
 *
 *   const result = compile(yamlText);
 *   if (result.ok) {
 *     const snapshot = createSnapshot(result.policy, lists);
 *     const mail = judgeMail(snapshot, { ip, listener, helo, time, sender });
 *     const answer = judgeRecipient(snapshot, { ...facts, recipient }, mail);
 *   }
 */
export { check, checkFiles, compile, compileFiles, readPolicy, type ReadPolicyResult } from './compile.js';
export type { CompiledPolicy, CompileResult, NeededFacts } from './compiled.js';
export type { PolicyDocument } from './document.js';
export { policyJsonSchema } from './json-schema.js';
export { patchPolicy, sameDocument, type EditResult, type PatchFault, type PatchStep } from './edit.js';
export { explainGiven, type GivenExplanation, type GivenTexts } from './explain-given.js';
export { explainNotice, explainTransaction, type Explanation } from './explain.js';
export { formatPolicy, type FormatResult } from './format.js';
export { judgeConnect, judgeHelo, judgeMail, judgeNotice, judgeRecipient } from './judge.js';
export { readGivenFacts, type GivenFacts, type GivenFault } from './given-facts.js';
export { GREYLIST_RETRY_WINDOW_MS, greylistNetwork } from './greylist.js';
export { ClassKeeper, judgeMessage, settleVerdicts, type MessageJudgement } from './judge-message.js';
export { judgeRouting, mayRedirectTo, type RoutingQuestion } from './judge-routing.js';
export { isProxy, mayXclient } from './identify.js';
export { joinPolicies, type JoinResult, type PolicyFile } from './join.js';
export { LIMIT_SLOW_MS, LIMIT_STAGES, limitKeys, type LimitStage } from './limits.js';
export type { LimitCount, LimitKey, LimitProfile } from './limit-types.js';
export { checkListEntry, coveringEntries, type ListEntryResult } from './list-entry.js';
export { renderVocabulary } from './render-vocabulary.js';
export { runInvariants, type InvariantResult } from './run-invariants.js';
export { runTests, type TestResult } from './run-tests.js';
export { buildManagedList, ManagedListBuilder } from './sets/managed-list.js';
export {
  entryName,
  POLICY_SECTIONS,
  policyChanges,
  policySection,
  sectionEntries,
  type PolicyChange,
  type PolicySection,
  type SectionEntry,
} from './sections.js';
export { createSnapshot, type Snapshot, type SnapshotOptions } from './snapshot.js';
export type { ConditionStep, Step } from './trace.js';
export { parcelsOf, receiveParcels } from './transfer.js';
export { decideTransaction, type DecideOptions } from './transaction.js';
export type {
  AddedRecipient,
  AuthMechanism,
  Decision,
  DecisionReply,
  Facts,
  FactValue,
  Finding,
  GreylistTerms,
  HeaderEdit,
  ListenerAuth,
  ListenerDefinition,
  ListenerTls,
  ListType,
  ManagedList,
  ManagedListDefinition,
  MessageOutcome,
  MixedVerdicts,
  Phase,
  PolicyLimits,
  RecipientDecision,
  RetryProfile,
  ReviewQueue,
  RouteDefinition,
  RouteHost,
  RouteTlsProfile,
  Severity,
  SigningKeyUse,
  TransactionDecision,
  UnknownFact,
  Verdict,
} from './types.js';
export { parseAddress, type AddressResult } from './values/addresses.js';
export { FACTS, type FactDefinition, type FactType } from './vocabulary.js';
