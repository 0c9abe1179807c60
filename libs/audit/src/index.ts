export type {
  AttemptRecord,
  AuditEvent,
  AuditEventKind,
  RecordedFact,
  RecordedFacts,
  RecordedRecipient,
  RecordedSnapshot,
  TransactionRecord,
} from './event.js';
