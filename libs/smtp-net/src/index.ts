export { collectMessages } from './collect-messages.js';
export type { CollectedMessage, CollectOptions, MessageTaker } from './collect-messages.js';
export type {
  AuthOutcome,
  AuthRefusal,
  ContentSink,
  DataAnswer,
  Endpoint,
  MaybePromise,
  PasswordAnswer,
  PasswordCredentials,
  ScramCredentials,
  ServerSession,
  SessionTraffic,
  SmtpServerHooks,
  TurnedAway,
  XclientFacts,
} from './hooks.js';
export type {
  AuthSettings,
  ListenerSettings,
  ListenOptions,
  Offers,
  ScramDecoy,
  SmtpListener,
  SmtpServer,
  SmtpServerOptions,
  TlsSettings,
} from './server-options.js';
export { connectSmtp, SMTP_TIMEOUTS, SmtpConnectFault } from './client.js';
export type { SendResult, SmtpConnection, SmtpConnectOptions, SmtpMessage, SmtpTimeouts } from './client.js';
export { SASL_MECHANISMS } from './client-sasl.js';
export type { SaslMechanism, SmtpCredentials } from './client-sasl.js';
export { tlsContext } from './client-tls.js';
export type { SmtpTlsOptions, TlsContextOptions, TlsEvidence } from './client-tls.js';
export { answerFor, relayByMx, relayToHost } from './relay.js';
export type { MessageToRelay, MxResolver, RelayOptions } from './relay.js';
export { createSmtpServer } from './server.js';
export { createServerContext } from './tls-handshake.js';
