/** TypeORM when somebody first needs it. Its failures leave as OperationalError. */
import type { DataSource, EntityManager } from 'typeorm';
import type { ENTITIES } from './data-source.js';
import type { DatabaseConfig } from './database-config.js';
import { isConflict, OperationalError, toOperationalError } from './operational-error.js';

const MOST_TRIES = 4;

/** A manager and the entity classes it knows. */
export interface OrmSession {
  readonly manager: EntityManager;
  readonly entities: typeof ENTITIES;
}

interface Opened {
  readonly source: DataSource;
  readonly entities: typeof ENTITIES;
}

export class Orm {
  readonly #config: DatabaseConfig;
  #opened: Promise<Opened> | undefined;
  #closed = false;

  constructor(config: DatabaseConfig) {
    this.#config = config;
  }

  async run<T>(work: (session: OrmSession) => Promise<T>): Promise<T> {
    try {
      const { source, entities } = await this.#open();
      return await work({ manager: source.manager, entities });
    } catch (error) {
      throw translated(error);
    }
  }

  /** One transaction, read committed; repeated from the start after a deadlock or serialization failure. */
  async transaction<T>(work: (session: OrmSession) => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries += 1) {
      try {
        const { source, entities } = await this.#open();
        return await source.transaction((manager) => work({ manager, entities }));
      } catch (error) {
        if (!isConflict(error) || tries >= MOST_TRIES) throw translated(error);
      }
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    const opened = await this.#opened?.catch(() => undefined);
    await opened?.source.destroy();
  }

  #open(): Promise<Opened> {
    if (this.#closed) return Promise.reject(new OperationalError('closed', 'the database was closed'));
    this.#opened ??= this.#load();
    return this.#opened;
  }

  async #load(): Promise<Opened> {
    try {
      const { ENTITIES: entities, openDataSource } = await import('./data-source.js');
      return { source: await openDataSource(this.#config, this.#config.readTimeoutMs), entities };
    } catch (error) {
      this.#opened = undefined;
      throw error;
    }
  }
}

function translated(error: unknown): unknown {
  if (error instanceof OperationalError || error instanceof TypeError) return error;
  return toOperationalError(error);
}
