export { limitText, outcomeOf, replyText } from './attempt-outcome.js';
export type { AttemptAnswer, AttemptFault, AttemptOutcome, AttemptStage } from './attempt-outcome.js';
export { findNextHops } from './next-hop.js';
export type { NextHops } from './next-hop.js';
export type * from './ports.js';
export { RelayWorker } from './relay-worker.js';
export type { RelayFigures, RelayOptions, RelayPorts } from './relay-worker.js';
export type { HostReport, RouteReport } from './route-report.js';
export { nextAttemptAtMs, retryDelayMs } from './retry-schedule.js';
export type {
  BlackholeRoute,
  FileFormat,
  FileRoute,
  FlowLimit,
  FlowLimits,
  RetryProfile,
  RouteAuth,
  RouteDefinition,
  RouteHost,
  RouteTls,
  SmtpRoute,
} from './route.js';
