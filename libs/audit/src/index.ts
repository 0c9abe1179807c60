export { renderAuditEvents } from './catalogue.js';
export type {
  AttemptRecord,
  AuditEvent,
  AuditEventKind,
  RecordedAccount,
  RecordedFact,
  RecordedFacts,
  RecordedRecipient,
  RecordedSnapshot,
  TransactionRecord,
} from './event.js';
export { parsePublicId, publicId, traceOf } from './ids.js';
export { recordableJson, recordableText } from './redact.js';
