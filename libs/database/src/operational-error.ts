/**
 * The one family of operational failures that leaves this library: the database is away, slow, full, or refuses the
 * data. Callers catch it at their edge and turn it into 4xx, 503 or a retry. Faults of peers and bugs never take this form.
 *
 * An unknown outcome (connection lost while a commit was under way) is a failure with `outcomeKnown: false`: whoever
 * must not claim success treats it as failure, whoever must not repeat asks again.
 */
export type OperationalCode =
  /** No connection, or lost: the server is away, starting, or told us to go. */
  | 'database-unavailable'
  /** The server did not answer in time. */
  | 'database-timeout'
  /** No room on the server's disk. */
  | 'disk-full'
  /** Serialization failure or deadlock, after the built-in repeats. */
  | 'conflict'
  /** The server refuses these values; the same call fails again. */
  | 'data-refused'
  /** Server too old, unsafe settings, schema newer or older than this program. */
  | 'unfit-database'
  /** A live process already uses this node name. */
  | 'node-name-taken'
  /** The store was closed. */
  | 'closed'
  /** Anything else the server reported. */
  | 'database-error';

export class OperationalError extends Error {
  override readonly name = 'OperationalError';
  readonly code: OperationalCode;
  readonly retryable: boolean;
  /** False when a commit may have happened although no answer came. */
  readonly outcomeKnown: boolean;

  constructor(
    code: OperationalCode,
    message: string,
    options: { cause?: unknown; retryable?: boolean; outcomeKnown?: boolean } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retryable = options.retryable ?? RETRYABLE.has(code);
    this.outcomeKnown = options.outcomeKnown ?? true;
  }
}

const RETRYABLE: ReadonlySet<OperationalCode> = new Set([
  'database-unavailable',
  'database-timeout',
  'disk-full',
  'conflict',
]);

/** SQLSTATE of a PostgreSQL error, undefined for anything else. */
export function sqlState(error: unknown): string | undefined {
  if (error instanceof OperationalError) return sqlState(error.cause);
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  // Every SQLSTATE has a digit; EPIPE looks like one otherwise, and would pass for an answer of the server.
  return typeof error.code === 'string' && /^(?=.*[0-9])[0-9A-Z]{5}$/.test(error.code) ? error.code : undefined;
}

/** Class 22 or 23: the values themselves are refused. */
export function isDataError(error: unknown): boolean {
  const state = sqlState(error);
  return state !== undefined && (state.startsWith('22') || state.startsWith('23'));
}

/** 23514 without a constraint's name: a row found no partition. */
export function isMissingPartition(error: unknown): boolean {
  const raised = error instanceof OperationalError ? error.cause : error;
  return sqlState(raised) === '23514' && (raised as { constraint?: string }).constraint === undefined;
}

export function isConflict(error: unknown): boolean {
  const state = sqlState(error);
  return state === '40001' || state === '40P01';
}

/** True when the connection that raised it must not be used again. */
export function isConnectionError(error: unknown): boolean {
  const state = sqlState(error);
  if (state === undefined) return true;
  return state.startsWith('08') || state.startsWith('57P') || state === '25P03';
}

/** Turns whatever `pg` threw into an OperationalError; `sent` says whether the statement may have reached the server. */
export function toOperationalError(error: unknown, sent = true): OperationalError {
  if (error instanceof OperationalError) return error;
  const state = sqlState(error);
  const detail = error instanceof Error ? error.message : String(error);
  if (state === undefined) return lostConnection(error, detail, sent);
  if (isConnectionError(error)) {
    return new OperationalError('database-unavailable', `the database ended the connection: ${detail}`, {
      cause: error,
      outcomeKnown: !sent,
    });
  }
  if (state === '57014' || state === '55P03')
    return new OperationalError('database-timeout', `the database took too long: ${detail}`, { cause: error });
  if (state === '53300')
    return new OperationalError('database-unavailable', `the database has no free connection: ${detail}`, {
      cause: error,
    });
  if (state.startsWith('53'))
    return new OperationalError('disk-full', `the database has no room: ${detail}`, { cause: error });
  if (isConflict(error))
    return new OperationalError('conflict', `the database saw a conflict: ${detail}`, { cause: error });
  if (isDataError(error))
    return new OperationalError('data-refused', `the database refused the data: ${detail}`, { cause: error });
  if (state === '42P01' || state === '42703') {
    return new OperationalError(
      'unfit-database',
      `the schema is older than this program: ${detail}; run the migrations`,
      { cause: error },
    );
  }
  return new OperationalError('database-error', `the database reported ${state}: ${detail}`, { cause: error });
}

function lostConnection(error: unknown, detail: string, sent: boolean): OperationalError {
  if (isOwnFault(error)) return new OperationalError('database-error', detail, { cause: error });
  if (/timeout/i.test(detail)) {
    return new OperationalError('database-timeout', `the database did not answer in time: ${detail}`, {
      cause: error,
      outcomeKnown: !sent,
    });
  }
  return new OperationalError('database-unavailable', `no connection to the database: ${detail}`, {
    cause: error,
    outcomeKnown: !sent,
  });
}

/** Ours, not the network's: a module that is missing, code that does not parse. */
function isOwnFault(error: unknown): boolean {
  if (error instanceof SyntaxError || error instanceof ReferenceError) return true;
  return error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_MODULE');
}
