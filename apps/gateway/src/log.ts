/** Structured logs: one line per outcome, never per command; no content, no credentials. */
import { pino, type Logger, type LoggerOptions } from 'pino';

export type { Logger } from 'pino';

/**
 * Writes JSON lines to standard error, so that standard output stays free for programs. A line that cannot be written
 * (full disk) is dropped: mail goes on. Written at once, so that nothing is left to flush when the process must end.
 */
export function createLogger(
  level: 'debug' | 'info' | 'warn' | 'error' | 'silent',
  node: string,
  onError: (message: string) => void = () => undefined,
): Logger {
  const destination = pino.destination({ fd: 2, sync: true });
  destination.on('error', () => undefined);
  const hooks: LoggerOptions['hooks'] = {
    logMethod(inputs, method, severity) {
      if (severity >= ERROR) onError(sentenceOf(inputs));
      method.apply(this, inputs);
    },
  };
  return pino({ level, base: { node }, hooks }, destination);
}

const ERROR = 50;

/** What the line says, and why: without the stack, which is for the log. */
function sentenceOf([first, second]: readonly unknown[]): string {
  if (typeof first === 'string') return first;
  const error = typeof first === 'object' && first !== null && 'err' in first ? first.err : undefined;
  const why = error instanceof Error ? `: ${error.message}` : '';
  return `${typeof second === 'string' ? second : 'error'}${why}`;
}
