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
