import { Inject, Injectable } from '@nestjs/common';
import { isSecretName, type Secret, type SecretResult } from '#database';
import { keyRecord, readSigningKey } from '#mail-auth';
import { DatabaseAccess } from '../database-access.js';
import type { Change, ConditionalChange } from '../http/change.decorator.js';
import { checkPrecondition, stale } from '../http/conditional.js';
import type { Fields } from '../http/fields.js';
import { readCursor, writeCursor } from '../http/page.js';
import type { PageQuery } from '../http/page.dto.js';
import { Problem } from '../http/problem.js';
import type { Shown } from '../http/shown.js';
import { usesOfSecret } from '../policies/examine.js';
import { LivePolicyReader } from '../policies/live-policy-reader.js';
import type { PublicKeyDto, ResealDto, SecretDto, SecretPageDto, SecretRequest } from './secret.dto.js';

/** Secrets of the relay. A value comes in and is never answered. */
@Injectable()
export class SecretsService {
  constructor(
    @Inject(DatabaseAccess) private readonly database: DatabaseAccess,
    @Inject(LivePolicyReader) private readonly reader: LivePolicyReader,
  ) {}

  async all(query: PageQuery): Promise<SecretPageDto> {
    const after = readCursor(query.after, isSecretName);
    const page = await this.database.current.secrets.list({
      limit: query.limit,
      ...(after !== undefined && { after }),
    });
    return { data: page.data.map(secretDto), ...(page.next !== undefined && { next: writeCursor(page.next) }) };
  }

  async one(name: string): Promise<Shown<SecretDto>> {
    const secret = await this.#find(name);
    if (secret === undefined) throw noSecret(name);
    return shown(secret);
  }

  /** `created`: there was none before. */
  async set(
    name: string,
    { value, note }: SecretRequest,
    { condition, actor, reason, dryRun }: ConditionalChange,
  ): Promise<Shown<SecretDto> & { readonly created: boolean }> {
    if (!isSecretName(name)) {
      const message = 'a name has lower-case letters, digits and `. _ -`, and begins and ends with a letter or digit';
      throw new Problem('value-refused', message, [{ code: 'value-refused', pointer: '/secret', message }]);
    }
    await this.#refuseUnfitKey(name, value);
    const before = await this.#find(name);
    checkPrecondition(condition, stateOf(before));
    const result = await this.database.current.secrets.set({
      name,
      value,
      ...(note !== undefined && { note }),
      actor,
      ...(dryRun !== undefined && { dryRun }),
      ...(reason !== undefined && { reason }),
      ...(condition.kind !== 'any' && { ifRevision: before?.revision ?? 0 }),
    });
    return { ...shown(settled(result, name)), created: before === undefined };
  }

  async remove(name: string, { condition, actor, reason, dryRun }: ConditionalChange): Promise<void> {
    const before = await this.#find(name);
    if (before === undefined) throw noSecret(name);
    checkPrecondition(condition, stateOf(before));
    const uses = await this.#usesOf(name);
    if (uses.length > 0) {
      throw new Problem('conflict', `the live policy ${uses.join(', and ')}; publish one that does not, first`);
    }
    const result = await this.database.current.secrets.remove(name, {
      actor,
      ...(dryRun !== undefined && { dryRun }),
      ...(reason !== undefined && { reason }),
      ...(condition.kind !== 'any' && { ifRevision: before.revision }),
    });
    settled(result, name);
  }

  async reseal({ actor, reason }: Change): Promise<Fields<ResealDto>> {
    const result = await this.database.current.secrets.reseal({ actor, ...(reason !== undefined && { reason }) });
    if (!result.ok) throw new Problem('conflict', result.message);
    const { keyId, resealed, unreadable } = result;
    return { keyId, resealed, unreadable };
  }

  /** The half of a key that is no secret. */
  async publicKey(name: string): Promise<Fields<PublicKeyDto>> {
    const secret = await this.#find(name);
    if (secret === undefined) throw noSecret(name);
    const revealed = await this.database.current.secrets.reveal(name);
    if (!revealed.ok) throw new Problem('conflict', revealed.message);
    const read = readSigningKey(revealed.value);
    if (!read.ok) throw new Problem('conflict', `secret \`${name}\` ${read.message}`);
    const { key } = read;
    return {
      algorithm: key.algorithm,
      ...(key.bits !== undefined && { bits: key.bits }),
      record: keyRecord(key),
    };
  }

  /** A key that mail is signed with now is replaced by a key, not by anything else. */
  async #refuseUnfitKey(name: string, value: string): Promise<void> {
    if ((await this.reader.live()) === undefined) return;
    const { signing } = await this.reader.compiled();
    const read = signing.some(({ secret }) => secret === name) ? readSigningKey(value) : undefined;
    if (read?.ok !== false) return;
    const message = `the live policy signs mail with \`${name}\`, and this ${read.message}`;
    throw new Problem('value-refused', message, [{ code: 'value-refused', pointer: '/value', message }]);
  }

  async #usesOf(name: string): Promise<readonly string[]> {
    if ((await this.reader.live()) === undefined) return [];
    return usesOfSecret(await this.reader.compiled(), name);
  }

  async #find(name: string): Promise<Secret | undefined> {
    return isSecretName(name) ? this.database.current.secrets.get(name) : undefined;
  }
}

function settled(result: SecretResult, name: string): Secret {
  if (result.ok) return result.secret;
  switch (result.fault) {
    case 'no-key':
      throw new Problem('conflict', result.message);
    case 'no-such-secret':
      throw noSecret(name);
    case 'stale':
      throw stale();
  }
}

function stateOf(secret: Secret | undefined): string | undefined {
  return secret === undefined ? undefined : String(secret.revision);
}

function noSecret(name: string): Problem {
  return new Problem('not-found', `there is no secret \`${name}\``);
}

function shown(secret: Secret): Shown<SecretDto> {
  return { body: secretDto(secret), state: String(secret.revision) };
}

function secretDto(secret: Secret): Fields<SecretDto> {
  return {
    name: secret.name,
    ...(secret.note !== undefined && { note: secret.note }),
    keyId: secret.keyId,
    readable: secret.readable,
    createdAt: secret.createdAt.toISOString(),
    createdBy: secret.createdBy,
    updatedAt: secret.updatedAt.toISOString(),
    updatedBy: secret.updatedBy,
  };
}
