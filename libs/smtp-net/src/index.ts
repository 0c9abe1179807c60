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
export { createSmtpServer } from './server.js';
