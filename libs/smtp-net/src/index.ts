export { collectMessages } from './collect-messages.js';
export type { CollectedMessage, CollectOptions, MessageTaker } from './collect-messages.js';
export type {
  ContentSink,
  DataAnswer,
  Endpoint,
  ListenOptions,
  MaybePromise,
  ServerSession,
  SessionTraffic,
  SmtpListener,
  SmtpServer,
  SmtpServerHooks,
  SmtpServerOptions,
} from './hooks.js';
export { connectSmtp, SMTP_TIMEOUTS, SmtpConnectFault } from './client.js';
export type { SendResult, SmtpConnection, SmtpConnectOptions, SmtpMessage, SmtpTimeouts } from './client.js';
export { answerFor, relayByMx, relayToHost } from './relay.js';
export type { MessageToRelay, MxResolver, RelayOptions } from './relay.js';
export { createSmtpServer } from './server.js';
