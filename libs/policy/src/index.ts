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
export type {
  Decision,
  DecisionReply,
  Facts,
  FactValue,
  Finding,
  ListenerDefinition,
  ListType,
  ManagedList,
  ManagedListDefinition,
  Phase,
  PolicyLimits,
  RecipientDecision,
  RetryProfile,
  RouteDefinition,
  RouteHost,
  Severity,
  TransactionDecision,
  Verdict,
} from './types.js';
export type { CompiledPolicy, CompileResult } from './compiled.js';
export type { Snapshot } from './snapshot.js';
export {
  buildManagedList,
  check,
  checkListEntry,
  compile,
  createSnapshot,
  decideTransaction,
  explainTransaction,
  judgeConnect,
  judgeHelo,
  judgeMail,
  judgeRecipient,
  policyJsonSchema,
  renderVocabulary,
  runTests,
  type ListEntryResult,
  type TestResult,
} from './unbuilt.js';
