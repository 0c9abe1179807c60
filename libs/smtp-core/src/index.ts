export { parseAddressLiteral, parseDomain, literalOfAddress } from './domain.js';
export { ContentDecoder } from './content-decoder.js';
export type { ContentFault } from './content-decoder.js';
export { DEFAULT_LIMITS } from './limits.js';
export type { SmtpLimits } from './limits.js';
export {
  parseForwardPath,
  parseMailbox,
  parseReversePath,
  printForwardPath,
  printMailbox,
  printReversePath,
} from './path.js';
export type { ForwardPath, Mailbox, PathFault, PathOptions, PathResult, ReversePath } from './path.js';
export { encodeReply, isPermanent, isPositive, isTransient } from './reply.js';
export type { Reply } from './reply.js';
export { renderPhaseTable } from './render-phase-table.js';
export { renderReplyCatalogue } from './render-reply-catalogue.js';
export { REPLIES, replyFor } from './reply-catalogue.js';
export type { ReplyKey } from './reply-catalogue.js';
export { mailDate, protocolName, receivedHeader } from './received-header.js';
export type { ProtocolFacts, ProtocolName, ReceivedFacts } from './received-header.js';
export {
  printPlain,
  printScramClientFirst,
  printScramServerFirst,
  printScramWithoutProof,
  readPlain,
  readSaslField,
  readScramClientFinal,
  readScramClientFirst,
  readScramServerFinal,
  readScramServerFirst,
} from './sasl-messages.js';
export type { PlainMessage, ScramClientFinal, ScramClientFirst, ScramServerFirst } from './sasl-messages.js';
export { SmtpServerSession } from './session.js';
export type {
  Answer,
  AuthAnswer,
  AuthFacts,
  AuthQuestion,
  Awaited,
  BodyType,
  CloseReason,
  MailParams,
  NotifyWord,
  Question,
  QuestionId,
  RcptParams,
  RefusedCommand,
  SessionCounters,
  SessionInput,
  SessionOptions,
  SessionOutput,
  TlsFacts,
  TransactionEnd,
} from './session-io.js';
export { ContentEncoder, ContentNotCanonical, stuffContent } from './content-encoder.js';
export type { ClientFault, ClientStage, RecipientResult } from './client-envelope.js';
export type { ClientExtensions } from './client-extensions.js';
export { decodeUnitext, decodeXtext, encodeXtext } from './xtext.js';
export { SmtpClientSession } from './client-session.js';
export type { ClientInput, ClientOutput, ClientSessionOptions, ClientWait } from './client-io.js';
export type { ClientTransaction, RecipientParameters } from './client-parameters.js';
export { REPLY_LIMITS, ReplyReader, replaceControls } from './reply-reader.js';
export type { ReplyFault, ReplyLimits } from './reply-reader.js';
