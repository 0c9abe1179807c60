import { Inject, Injectable } from '@nestjs/common';
import { parsePublicId, publicId } from '#audit';
import type { ApiKey } from '#database';
import { DatabaseAccess } from '../database-access.js';
import type { Fields } from '../http/fields.js';
import { Problem } from '../http/problem.js';
import { futureTime } from '../lists/lists.service.js';
import type { ApiKeyDto, CreatedApiKeyDto, NewApiKeyRequest } from './api-key.dto.js';

@Injectable()
export class ApiKeysService {
  constructor(@Inject(DatabaseAccess) private readonly database: DatabaseAccess) {}

  async all(): Promise<ApiKeyDto[]> {
    return (await this.database.current.apiKeys.list()).map(keyDto);
  }

  async create(request: NewApiKeyRequest, actor: string): Promise<CreatedApiKeyDto> {
    const expiresAt = request.expiresAt === undefined ? undefined : futureTime(request.expiresAt, '/expiresAt');
    const { key, secret } = await this.database.current.apiKeys.create({
      name: request.name,
      role: request.role ?? 'admin',
      actor,
      ...(expiresAt !== undefined && { expiresAt }),
    });
    return { ...keyDto(key), key: secret };
  }

  /** The last key that can manage keys stays: nobody could get in again. */
  async revoke(text: string, actor: string): Promise<void> {
    const id = parsePublicId('key', text);
    const keys = await this.database.current.apiKeys.list();
    const key = keys.find((it) => it.id === id && it.revokedAt === undefined);
    if (id === undefined || key === undefined)
      throw new Problem('not-found', 'there is no such key, or it is revoked already');
    const others = keys.filter((it) => it.id !== id && isLastingAdmin(it));
    if (isLastingAdmin(key) && others.length === 0) {
      throw new Problem('conflict', 'this is the last admin key that does not expire; create another one first');
    }
    await this.database.current.apiKeys.revoke(id, actor);
  }
}

function isLastingAdmin(key: ApiKey): boolean {
  return key.role === 'admin' && key.revokedAt === undefined && key.expiresAt === undefined;
}

function keyDto(key: ApiKey): Fields<ApiKeyDto> {
  return {
    id: publicId('key', key.id),
    name: key.name,
    prefix: key.prefix,
    role: key.role,
    createdAt: key.createdAt.toISOString(),
    createdBy: key.createdBy,
    ...(key.expiresAt !== undefined && { expiresAt: key.expiresAt.toISOString() }),
    ...(key.revokedAt !== undefined && { revokedAt: key.revokedAt.toISOString() }),
    ...(key.lastUsedAt !== undefined && { lastUsedAt: key.lastUsedAt.toISOString() }),
  };
}
