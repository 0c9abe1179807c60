/**
 * Secrets of the relay: passwords for the next hops' AUTH, and the like. Sealed with AES-256-GCM under a key that the
 * database never sees, each bound to its name, so that rows cannot be swapped. Only `reveal` gives a value back.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import type { Pool, PoolClient } from 'pg';
import type { AuditEvent } from '#audit';
import { writeEvents } from './admin-events.js';
import { inTransaction, query } from './connections.js';
import { newId } from './new-id.js';
import type { SecretKey, SecretKeys, SecretKeySource } from './secret-keys.js';
import type { Page, Secret } from './types.js';

const CIPHER = 'aes-256-gcm';
const NONCE_OCTETS = 12;
const TAG_OCTETS = 16;
const NAME = /^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$/;

export interface SecretChangeContext {
  readonly actor: string;
  readonly reason?: string;
  /** Refuse with `stale` unless the secret is at this revision; 0: unless there is none. */
  readonly ifRevision?: number;
  /** Does everything, and undoes it. */
  readonly dryRun?: boolean;
}

export interface SecretToSet extends SecretChangeContext {
  readonly name: string;
  readonly value: string;
  readonly note?: string;
}

export type SecretResult =
  | { readonly ok: true; readonly secret: Secret }
  | { readonly ok: false; readonly fault: 'no-such-secret' | 'stale' }
  | { readonly ok: false; readonly fault: 'no-key'; readonly message: string };

export type RevealedSecret =
  | { readonly ok: true; readonly value: string; readonly revision: number }
  | { readonly ok: false; readonly fault: 'no-such-secret' | 'unreadable'; readonly message: string };

export type ResealResult =
  | { readonly ok: true; readonly keyId: string; readonly resealed: number; readonly unreadable: readonly string[] }
  | { readonly ok: false; readonly fault: 'no-key'; readonly message: string };

const SHOWN = 'name, revision, key_id, note, created_at, created_by, updated_at, updated_by';

/** Names as policies write them after `secret/`. */
export function isSecretName(text: string): boolean {
  return NAME.test(text);
}

export class SecretStore {
  readonly #pool: Pool;
  readonly #keys: SecretKeySource;

  constructor(pool: Pool, keys: SecretKeySource) {
    this.#pool = pool;
    this.#keys = keys;
  }

  /** Makes it, or replaces value and note. */
  async set(given: SecretToSet): Promise<SecretResult> {
    const keys = await this.#keys();
    if (!keys.ok) return { ok: false, fault: 'no-key', message: keys.message };
    const { nonce, sealed } = seal(given.value, given.name, keys.first);
    return inTransaction(
      this.#pool,
      async (client) => {
        const before = await locked(client, given.name);
        if (given.ifRevision !== undefined && given.ifRevision !== (before?.revision ?? 0))
          return { ok: false, fault: 'stale' };
        const { rows } = await client.query<SecretRow>(
          `insert into secret (name, key_id, nonce, sealed, note, created_by, updated_by) values ($1, $2, $3, $4, $5, $6, $6)
         on conflict (name) do update set revision = nextval('secret_revision'), key_id = excluded.key_id,
           nonce = excluded.nonce, sealed = excluded.sealed, note = excluded.note, updated_at = now(),
           updated_by = excluded.updated_by
         returning ${SHOWN}`,
          [given.name, keys.first.id, nonce, sealed, given.note ?? null, given.actor],
        );
        if (rows[0] === undefined) throw new Error('an upsert returned nothing');
        const secret = secretOf(rows[0], keys);
        await tell(client, 'set', secret, given);
        return { ok: true, secret };
      },
      given,
    );
  }

  async remove(name: string, given: SecretChangeContext): Promise<SecretResult> {
    const keys = await this.#keys();
    return inTransaction(
      this.#pool,
      async (client) => {
        const before = await locked(client, name);
        if (before === undefined) return { ok: false, fault: 'no-such-secret' };
        if (given.ifRevision !== undefined && given.ifRevision !== before.revision)
          return { ok: false, fault: 'stale' };
        await client.query('delete from secret where name = $1', [name]);
        const secret = secretOf(before, keys);
        await tell(client, 'remove', secret, given);
        return { ok: true, secret };
      },
      given,
    );
  }

  /** By name, without values. */
  async list(given: { limit?: number; after?: string } = {}): Promise<Page<Secret>> {
    const limit = given.limit ?? 50;
    const keys = await this.#keys();
    const { rows } = await query<SecretRow>(this.#pool, {
      text: `select ${SHOWN} from secret where name collate "C" > $1 order by name collate "C" limit $2`,
      values: [given.after ?? '', limit + 1],
    });
    const data = rows.slice(0, limit).map((row) => secretOf(row, keys));
    return { data, ...(rows.length > limit ? { next: data.at(-1)?.name ?? '' } : {}) };
  }

  async get(name: string): Promise<Secret | undefined> {
    const keys = await this.#keys();
    const { rows } = await query<SecretRow>(this.#pool, {
      text: `select ${SHOWN} from secret where name = $1`,
      values: [name],
    });
    return rows[0] === undefined ? undefined : secretOf(rows[0], keys);
  }

  /** For who must use it. The value must not be logged, recorded or answered. Throws OperationalError only. */
  async reveal(name: string): Promise<RevealedSecret> {
    const { rows } = await query<SealedRow>(this.#pool, {
      name: 'sealed-secret',
      text: 'select name, revision, key_id, nonce, sealed from secret where name = $1',
      values: [name],
    });
    const row = rows[0];
    if (row === undefined) return { ok: false, fault: 'no-such-secret', message: `there is no secret \`${name}\`` };
    const keys = await this.#keys();
    if (!keys.ok) return { ok: false, fault: 'unreadable', message: keys.message };
    const value = open(row, keys);
    if (value === undefined) {
      const message = `secret \`${name}\` was sealed with another key than those of this installation`;
      return { ok: false, fault: 'unreadable', message };
    }
    return { ok: true, value, revision: row.revision };
  }

  /** Seals everything with the first key that is not yet; after that, the others are needed no longer. */
  async reseal(given: Omit<SecretChangeContext, 'ifRevision'>): Promise<ResealResult> {
    const keys = await this.#keys();
    if (!keys.ok) return { ok: false, fault: 'no-key', message: keys.message };
    return inTransaction(this.#pool, async (client) => {
      const { rows } = await client.query<SealedRow & SecretRow>(
        `select ${SHOWN}, nonce, sealed from secret where key_id <> $1 order by name for update`,
        [keys.first.id],
      );
      const unreadable: string[] = [];
      for (const row of rows) {
        const value = open(row, keys);
        if (value === undefined) {
          unreadable.push(row.name);
          continue;
        }
        const { nonce, sealed } = seal(value, row.name, keys.first);
        // The value is the same: so is the revision, and whoever read it before may still change it.
        await client.query('update secret set key_id = $2, nonce = $3, sealed = $4 where name = $1', [
          row.name,
          keys.first.id,
          nonce,
          sealed,
        ]);
        await tell(client, 'reseal', secretOf(row, keys), given);
      }
      return { ok: true, keyId: keys.first.id, resealed: rows.length - unreadable.length, unreadable };
    });
  }
}

/** Also where there is none yet: of two who make it at once, the second finds the first one's. */
async function locked(client: PoolClient, name: string): Promise<SecretRow | undefined> {
  await client.query(`select pg_advisory_xact_lock(hashtext('secret'), hashtext($1))`, [name]);
  const { rows } = await client.query<SecretRow>(`select ${SHOWN} from secret where name = $1 for update`, [name]);
  return rows[0];
}

function seal(value: string, name: string, { id, key }: SecretKey): { nonce: Buffer; sealed: Buffer } {
  const nonce = randomBytes(NONCE_OCTETS);
  const cipher = createCipheriv(CIPHER, key, nonce, { authTagLength: TAG_OCTETS }).setAAD(Buffer.from(`${id} ${name}`));
  return { nonce, sealed: Buffer.concat([cipher.update(value, 'utf8'), cipher.final(), cipher.getAuthTag()]) };
}

/** Undefined when none of the keys sealed it, or the row was tampered with. */
function open(row: SealedRow, keys: SecretKeys): string | undefined {
  const key = keys.ok ? keys.all.find(({ id }) => id === row.key_id) : undefined;
  if (key === undefined) return undefined;
  const tagAt = row.sealed.length - TAG_OCTETS;
  const decipher = createDecipheriv(CIPHER, key.key, row.nonce, { authTagLength: TAG_OCTETS })
    .setAAD(Buffer.from(`${key.id} ${row.name}`))
    .setAuthTag(row.sealed.subarray(tagAt));
  try {
    return Buffer.concat([decipher.update(row.sealed.subarray(0, tagAt)), decipher.final()]).toString('utf8');
  } catch {
    return undefined;
  }
}

async function tell(
  client: PoolClient,
  operation: Extract<AuditEvent, { kind: 'secret.changed' }>['data']['operation'],
  secret: Secret,
  { actor, reason }: SecretChangeContext,
): Promise<void> {
  const data = {
    secret: secret.name,
    operation,
    ...(operation === 'remove' ? {} : { revision: secret.revision }),
    actor,
    ...(reason !== undefined && { reason }),
  };
  await writeEvents(client, [{ id: newId(), kind: 'secret.changed', data }]);
}

interface SecretRow {
  name: string;
  revision: number;
  key_id: string;
  note: string | null;
  created_at: Date;
  created_by: string;
  updated_at: Date;
  updated_by: string;
}

interface SealedRow {
  name: string;
  revision: number;
  key_id: string;
  nonce: Buffer;
  sealed: Buffer;
}

function secretOf(row: SecretRow, keys: SecretKeys): Secret {
  return {
    name: row.name,
    revision: row.revision,
    keyId: row.key_id,
    readable: keys.ok && keys.all.some(({ id }) => id === row.key_id),
    createdAt: row.created_at,
    createdBy: row.created_by,
    updatedAt: row.updated_at,
    updatedBy: row.updated_by,
    ...(row.note === null ? {} : { note: row.note }),
  };
}
