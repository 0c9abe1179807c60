import type { LoggerService } from '@nestjs/common';
import { pino, type Logger } from 'pino';

/** Token of the process's logger. */
export const LOGGER = 'postern:logger';

export function createLogger(level: string, name: string): Logger {
  const destination = pino.destination({ fd: 1, sync: true });
  // A line that cannot be written (full disk) is dropped: the API goes on.
  destination.on('error', () => undefined);
  const options = {
    name,
    level,
    timestamp: pino.stdTimeFunctions.isoTime,
    // The header that carries a key must not get into a log, whoever logs a request one day.
    redact: ['req.headers.authorization', 'request.headers.authorization', '*.headers.authorization'],
  };
  return pino(options, destination);
}

/** Nest's own messages, through pino. Nest passes the context as the last argument. */
export class NestLogger implements LoggerService {
  constructor(private readonly logger: Logger) {}

  log(message: unknown, ...rest: unknown[]): void {
    this.logger.debug({ context: rest.at(-1) }, String(message));
  }

  warn(message: unknown, ...rest: unknown[]): void {
    this.logger.warn({ context: rest.at(-1) }, String(message));
  }

  error(message: unknown, ...rest: unknown[]): void {
    this.logger.error({ context: rest.at(-1) }, String(message));
  }

  fatal(message: unknown, ...rest: unknown[]): void {
    this.logger.fatal({ context: rest.at(-1) }, String(message));
  }
}
