/**
 * What a message says of itself: header fields, From addresses, attachments. Pure, streaming, bounded; it renders nothing
 * and trusts nothing.
 *
 *   const scanner = new StructureScanner({ structure: true });
 *   for (const chunk of content) scanner.write(chunk);
 *   const { header, attachments } = scanner.report();
 */
export { extensionsOf, type Attachment } from './attachment.js';
export { contentFacts, type ContentFact, type ScannedContent } from './content-facts.js';
export { decodeWords } from './encoded-words.js';
export type { HeaderBlock, HeaderField } from './fields.js';
export { MIME_LIMITS, type MimeFault, type MimeLimits } from './limits.js';
export { readMailboxes, type Mailboxes } from './mailboxes.js';
export { previewOf, type Preview } from './preview.js';
export { rewriteHeader, type FieldChange } from './rewrite-header.js';
export { StructureScanner, type ScanReport } from './structure-scanner.js';
