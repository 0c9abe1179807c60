export { renderAuditEvents } from './catalogue.js';
export { blockText, canonicalAddress, GENESIS } from './chain.js';
export type { BlockPlace, ChainedRow, ChainHead } from './chain.js';
export { ChainCheck } from './chain-check.js';
export type { ChainFault, ChainFaultKind, StoredBlock } from './chain-check.js';
export { checkpointText, nextCheckpoint, readCheckpoint } from './checkpoint.js';
export type { CheckpointBody, SignedCheckpoint } from './checkpoint.js';
export { SignedHeads } from './signed-heads.js';
export type { AuditEvent, AuditEventKind } from './event.js';
export type {
  AttemptRecord,
  QueueChangeRecord,
  RecordedAccount,
  RecordedFact,
  RecordedFacts,
  RecordedMailAuth,
  RecordedMailParameters,
  RecordedPlace,
  RecordedRecipient,
  RecordedRefusal,
  RecordedSnapshot,
  RecordedTls,
  ReviewAction,
  ReviewEnd,
  TransactionRecord,
} from './records.js';

export { parsePublicId, publicId, traceOf } from './ids.js';
export { recordableJson, recordableText } from './redact.js';
