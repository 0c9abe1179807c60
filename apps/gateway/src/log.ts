/** Structured logs: one line per outcome, never per command; no content, no credentials. */
import { pino, type Logger } from 'pino';

export type { Logger } from 'pino';

/** Writes JSON lines to standard error, so that standard output stays free for programs. */
export function createLogger(level: 'debug' | 'info' | 'warn' | 'error' | 'silent', node: string): Logger {
  return pino({ level, base: { node } }, pino.destination({ fd: 2, sync: false }));
}
