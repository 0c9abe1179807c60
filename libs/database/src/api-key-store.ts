/** Keys of the admin API. Only a SHA-256 of each secret is kept: 256 random bits need no slow hash. */
import { createHash, randomBytes } from 'node:crypto';
import { writeEvents } from './admin-events.js';
import type { ApiKeyEntity } from './entities/api-key.entity.js';
import { newId } from './new-id.js';
import type { Orm } from './orm.js';
import type { ApiKey } from './types.js';

const KEY = /^pst_[0-9A-Za-z]{8}_[0-9A-Za-z_-]{43}$/;
const PREFIX_LENGTH = 'pst_'.length + 8;
/** `last_used_at` is exact to this. */
const LAST_USE_GRAIN_MS = 60_000;

export interface ApiKeyToCreate {
  readonly name: string;
  readonly role: string;
  readonly actor: string;
  readonly expiresAt?: Date;
}

export class ApiKeyStore {
  readonly #orm: Orm;

  constructor(orm: Orm) {
    this.#orm = orm;
  }

  /** `secret` is the whole key, seen here and never again. */
  async create(given: ApiKeyToCreate): Promise<{ readonly key: ApiKey; readonly secret: string }> {
    const prefix = `pst_${randomBytes(12)
      .toString('base64')
      .replace(/[^0-9A-Za-z]/g, '')
      .padEnd(8, '0')
      .slice(0, 8)}`;
    const secret = `${prefix}_${randomBytes(32).toString('base64url')}`;
    const key = await this.#orm.transaction(async ({ manager, entities }) => {
      const saved = await manager.save(
        manager.create(entities.apiKey, {
          id: newId(),
          name: given.name,
          role: given.role,
          prefix,
          secretSha256: digestOf(secret),
          createdBy: given.actor,
          expiresAt: given.expiresAt ?? null,
        }),
      );
      await writeEvents(manager, [
        { id: newId(), kind: 'api-key.created', data: { keyId: saved.id, name: given.name, actor: given.actor } },
      ]);
      return manager.findOneByOrFail(entities.apiKey, { id: saved.id });
    });
    return { key: apiKeyOf(key), secret };
  }

  /** The key that `secret` opens; undefined when there is none, or it expired or was revoked. Notes the use. */
  async verify(secret: string): Promise<ApiKey | undefined> {
    if (!KEY.test(secret)) return undefined;
    return this.#orm.run(async ({ manager, entities }) => {
      const found = await manager.findOneBy(entities.apiKey, { secretSha256: digestOf(secret) });
      if (found?.revokedAt !== null) return undefined;
      const now = new Date();
      if (found.expiresAt !== null && found.expiresAt <= now) return undefined;
      if (found.lastUsedAt === null || now.getTime() - found.lastUsedAt.getTime() > LAST_USE_GRAIN_MS) {
        await manager.update(entities.apiKey, { id: found.id }, { lastUsedAt: now });
        found.lastUsedAt = now;
      }
      return apiKeyOf(found);
    });
  }

  /** False when there is no such key; revoking twice changes nothing. */
  async revoke(id: string, actor: string): Promise<boolean> {
    return this.#orm.transaction(async ({ manager, entities }) => {
      const found = await manager.findOne(entities.apiKey, { where: { id }, lock: { mode: 'pessimistic_write' } });
      if (found === null) return false;
      if (found.revokedAt !== null) return true;
      await manager.update(entities.apiKey, { id }, { revokedAt: new Date() });
      await writeEvents(manager, [
        { id: newId(), kind: 'api-key.revoked', data: { keyId: id, name: found.name, actor } },
      ]);
      return true;
    });
  }

  /** All keys, newest first, revoked and expired ones too. */
  async list(): Promise<readonly ApiKey[]> {
    return this.#orm.run(async ({ manager, entities }) =>
      (await manager.find(entities.apiKey, { order: { id: 'DESC' } })).map((row) => apiKeyOf(row)),
    );
  }
}

function digestOf(secret: string): Buffer {
  return createHash('sha256').update(secret).digest();
}

function apiKeyOf(row: ApiKeyEntity): ApiKey {
  return {
    id: row.id,
    name: row.name,
    prefix: row.prefix.slice(0, PREFIX_LENGTH),
    role: row.role,
    createdAt: row.createdAt,
    createdBy: row.createdBy,
    ...(row.expiresAt === null ? {} : { expiresAt: row.expiresAt }),
    ...(row.revokedAt === null ? {} : { revokedAt: row.revokedAt }),
    ...(row.lastUsedAt === null ? {} : { lastUsedAt: row.lastUsedAt }),
  };
}
