import { readFile, stat } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';
import { fileSecretKeys, openDatabase, OperationalError, type Database } from '#database';
import type { Logger } from 'pino';

export interface DatabasePlace {
  readonly databaseUrl: string;
  readonly secretKeyFile: string;
}

const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 5_000;

/** The database as soon as it is there. Until then every use of it fails as an outage does. */
export class DatabaseAccess {
  private opened: Database | undefined;

  constructor(database?: Database) {
    this.opened = database;
  }

  get current(): Database {
    if (this.opened !== undefined) return this.opened;
    throw new OperationalError('database-unavailable', 'the database has not been reached yet');
  }

  /** Resolves when the database is open; rejects when trying again would not help, or on `signal`. */
  async open({ databaseUrl, secretKeyFile }: DatabasePlace, logger: Logger, signal: AbortSignal): Promise<void> {
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
      try {
        this.opened = await openDatabase({
          url: databaseUrl,
          applicationName: 'postern-admin-api',
          secretKeys: fileSecretKeys(secretKeyFile, { readFile, stat }),
        });
        return;
      } catch (error) {
        if (!(error instanceof OperationalError) || !error.retryable) throw error;
        logger.warn({ err: error, pauseMs }, 'the database cannot be reached; trying again');
      }
      await wait(pauseMs, undefined, { signal });
    }
  }

  async close(): Promise<void> {
    const database = this.opened;
    this.opened = undefined;
    await database?.close();
  }
}
