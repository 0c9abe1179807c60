/** Structured logs: one line per outcome, never per command; no content, no credentials. */
import { pino, type Logger } from 'pino';

export type { Logger } from 'pino';

/**
 * Writes JSON lines to standard error, so that standard output stays free for programs. A line that cannot be written
 * (full disk) is dropped: mail goes on. Written at once, so that nothing is left to flush when the process must end.
 */
export function createLogger(level: 'debug' | 'info' | 'warn' | 'error' | 'silent', node: string): Logger {
  const destination = pino.destination({ fd: 2, sync: true });
  destination.on('error', () => undefined);
  return pino({ level, base: { node } }, destination);
}
