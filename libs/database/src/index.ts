export { accountName } from './account-name.js';
export type {
  AccountChangeContext,
  AccountChanges,
  AccountCredentials,
  AccountResult,
  AccountStore,
  AccountToCreate,
} from './account-store.js';
export type { ApiKeyStore, ApiKeyToCreate } from './api-key-store.js';
export type { AuditSearch } from './audit-search.js';
export { connectionTarget, type ConnectionTarget, type DatabaseSettings } from './database-config.js';
export type { GreylistQuestion, GreylistState, GreylistStore } from './greylist-store.js';
export type {
  CommitResult,
  DraftChangeContext,
  DraftResult,
  DraftStore,
  DraftToCommit,
  DraftToCreate,
} from './draft-store.js';
export type { BegunRequest, IdempotencyStore, IdempotentRequest } from './idempotency-store.js';
export type { LimitSlotCount, LimitStore } from './limit-store.js';
export type { ImportedEntry, ImportResult, ListImport, ListImportStore } from './list-import-store.js';
export type { EntriesToAdd, ListChangeContext, ListChangeResult, ListChanges, ListStore } from './list-store.js';
export type { DestinationChange, DestinationStore } from './destination-store.js';
export type { DrainChange, GatewayDrains } from './gateway-drains.js';
export type {
  GatewayAnswer,
  GatewayQuestion,
  GatewayQuestions,
  ReleaseQuestion,
  ResolveQuestion,
} from './gateway-questions.js';
export { idFloor, idTimeMs, newId } from './new-id.js';
export type { JoinedNode, NodeStore } from './node-store.js';
export { openDatabase, type Database } from './open-database.js';
export { OperationalError, type OperationalCode } from './operational-error.js';
export type { OperationStore } from './operation-store.js';
export {
  decoyHash,
  generatePassword,
  PASSWORD_LENGTH,
  passwordFits,
  preparePassword,
  SCRAM_ITERATIONS,
  type ScramVerifier,
} from './password.js';
export { awaitsConfirmation } from './policy-rows.js';
export type {
  DocumentToPublish,
  EndReleaseResult,
  PolicyStore,
  PublishResult,
  ReleaseToPublish,
  RevisionToSave,
} from './policy-store.js';
export type {
  QueueAdministration,
  QueueChangeContext,
  QueueChangeResult,
  RecipientChange,
  RecipientChanged,
} from './queue-administration.js';
export type { QueueAction, QueueChange } from './queue-change.js';
export type { QueueInspection } from './queue-inspection.js';
export {
  aboutMail,
  type DueReview,
  type HeldMail,
  type ReviewQuery,
  type ReviewRequest,
  type ReviewSettlement,
  type ReviewStore,
} from './review-store.js';
export { isCursor } from './search-windows.js';
export { fileSecretKeys, newSecretKeyLine, type KeyFileAccess, type SecretKeySource } from './secret-keys.js';
export {
  isSecretName,
  type ResealResult,
  type RevealedSecret,
  type SecretChangeContext,
  type SecretResult,
  type SecretStore,
  type SecretToSet,
} from './secret-store.js';
export type * from './types.js';
export type { NodeStatus as GatewayNode } from './types.js';
export type { HealthListener, NotificationHandler } from './watch.js';
