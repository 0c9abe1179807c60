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
