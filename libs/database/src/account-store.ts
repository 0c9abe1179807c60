/**
 * SMTP accounts. Every write takes the revision it is based on, makes the next one, and commits with its audit event.
 * Passwords come in, only verifiers are kept, and those go out to nobody but who checks a sign-in (`authView`).
 */
import type { Pool, PoolClient } from 'pg';
import type { AuditEvent, RecordedAccount } from '#audit';
import { accountName } from './account-name.js';
import { writeEvents } from './admin-events.js';
import { textArray } from './binary-array.js';
import { inTransaction, query } from './connections.js';
import { newId } from './new-id.js';
import { decoyScram, passwordVerifiers, type PasswordVerifiers, type ScramVerifier } from './password.js';
import type { Page, SmtpAccount } from './types.js';

export interface AccountChangeContext {
  readonly actor: string;
  readonly reason?: string;
  /** Refuse with `stale` unless the account is at this revision. */
  readonly ifRevision?: number;
  /** Does everything, and undoes it. */
  readonly dryRun?: boolean;
}

export interface AccountToCreate extends AccountChangeContext {
  /** In canonical form. */
  readonly name: string;
  readonly password: string;
  /** In canonical form. */
  readonly identities: readonly string[];
  readonly note?: string;
  readonly expiresAt?: Date;
  readonly disabled?: boolean;
}

/** What is absent stays; null removes. */
export interface AccountChanges {
  readonly identities?: readonly string[];
  readonly note?: string | null;
  readonly expiresAt?: Date | null;
  readonly disabled?: boolean;
}

export type AccountResult =
  | { readonly ok: true; readonly account: SmtpAccount }
  | { readonly ok: false; readonly fault: 'exists' | 'no-such-account' | 'stale' };

/** What a sign-in is checked against. */
export interface AccountCredentials {
  /** Canonical name that was looked for; '' for what can be no name. */
  readonly name: string;
  /** Absent when there is no such account, or it is disabled or expired. */
  readonly account?: {
    readonly revision: number;
    readonly passwordHash: string;
    readonly scram: ScramVerifier;
    readonly identities: readonly string[];
  };
  /** To be played instead of `account.scram` for who has none: the same for a name at every gateway, always. */
  readonly decoy: ScramVerifier;
}

type Operation = Extract<AuditEvent, { kind: 'account.changed' }>['data']['operation'];

const SHOWN = `name, revision, identities, note, disabled_at, expires_at, password_set_at, created_at, created_by,
  updated_at, updated_by`;

export class AccountStore {
  readonly #pool: Pool;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  /** Throws RangeError for a password that can be none. */
  async create(given: AccountToCreate): Promise<AccountResult> {
    const verifiers = await passwordVerifiers(given.password);
    return inTransaction(
      this.#pool,
      async (client) => {
        const { rows } = await client.query<AccountRow>(
          `insert into smtp_account (name, identities, note, expires_at, disabled_at, created_by, updated_by,
           password_hash, scram_salt, scram_iterations, scram_stored_key, scram_server_key)
         values ($1, $2::text[], $3, $4, case when $5::boolean then now() end, $6, $6, $7, $8, $9, $10, $11)
         on conflict do nothing returning ${SHOWN}`,
          [
            given.name,
            textArray(given.identities),
            given.note ?? null,
            given.expiresAt ?? null,
            given.disabled ?? false,
            given.actor,
            ...columnsOf(verifiers),
          ],
        );
        if (rows[0] === undefined) return { ok: false, fault: 'exists' };
        return told(client, 'create', given, { after: accountOf(rows[0]) });
      },
      given,
    );
  }

  async update(name: string, changes: AccountChanges, given: AccountChangeContext): Promise<AccountResult> {
    return this.#change(name, 'update', given, (client, before) =>
      client.query<AccountRow>(
        `update smtp_account set revision = nextval('account_revision'), identities = $2::text[], note = $3, expires_at = $4,
           disabled_at = case when $5::boolean then coalesce(disabled_at, now()) end, updated_at = now(), updated_by = $6
         where name = $1 returning ${SHOWN}`,
        [
          name,
          textArray(changes.identities ?? before.identities),
          changes.note === undefined ? (before.note ?? null) : changes.note,
          changes.expiresAt === undefined ? (before.expiresAt ?? null) : changes.expiresAt,
          changes.disabled ?? before.disabledAt !== undefined,
          given.actor,
        ],
      ),
    );
  }

  /** The old password is worthless from the commit on. Throws RangeError for one that can be none. */
  async setPassword(name: string, password: string, given: AccountChangeContext): Promise<AccountResult> {
    const verifiers = await passwordVerifiers(password);
    return this.#change(name, 'password', given, (client) =>
      client.query<AccountRow>(
        `update smtp_account set revision = nextval('account_revision'), updated_at = now(), updated_by = $2, password_set_at = now(),
           password_hash = $3, scram_salt = $4, scram_iterations = $5, scram_stored_key = $6, scram_server_key = $7
         where name = $1 returning ${SHOWN}`,
        [name, given.actor, ...columnsOf(verifiers)],
      ),
    );
  }

  /** Answers what it was. */
  async remove(name: string, given: AccountChangeContext): Promise<AccountResult> {
    return this.#change(name, 'remove', given, (client) =>
      client.query<AccountRow>(`delete from smtp_account where name = $1 returning ${SHOWN}`, [name]),
    );
  }

  async get(name: string): Promise<SmtpAccount | undefined> {
    const { rows } = await query<AccountRow>(this.#pool, {
      text: `select ${SHOWN} from smtp_account where name = $1`,
      values: [name],
    });
    return rows[0] === undefined ? undefined : accountOf(rows[0]);
  }

  /** By name; `after` is the `next` of the page before. */
  async list(given: { limit?: number; after?: string } = {}): Promise<Page<SmtpAccount>> {
    const limit = given.limit ?? 50;
    const { rows } = await query<AccountRow>(this.#pool, {
      text: `select ${SHOWN} from smtp_account where name collate "C" > $1 order by name collate "C" limit $2`,
      values: [given.after ?? '', limit + 1],
    });
    const data = rows.slice(0, limit).map(accountOf);
    return { data, ...(rows.length > limit ? { next: data.at(-1)?.name ?? '' } : {}) };
  }

  /**
   * For a name as a client sends it. One statement whatever it is, and never from a cache: what was changed or
   * revoked counts at the next sign-in.
   */
  async authView(rawName: string): Promise<AccountCredentials> {
    const name = accountName(rawName) ?? '';
    const { rows } = await query<CredentialsRow>(this.#pool, {
      name: 'account-credentials',
      text: `select d.seed, a.revision, a.password_hash, a.scram_salt, a.scram_iterations, a.scram_stored_key,
               a.scram_server_key, a.identities
             from scram_decoy d left join smtp_account a
               on a.name = $1 and a.disabled_at is null and (a.expires_at is null or a.expires_at > now())`,
      values: [name],
    });
    const row = rows[0];
    if (row === undefined) throw new Error('the table scram_decoy has lost its row');
    const decoy = decoyScram(row.seed, name === '' ? rawName : name);
    return { name, decoy, ...(row.revision === null ? {} : { account: credentialsOf(row) }) };
  }

  async #change(
    name: string,
    operation: Operation,
    given: AccountChangeContext,
    write: (client: PoolClient, before: SmtpAccount) => Promise<{ rows: AccountRow[] }>,
  ): Promise<AccountResult> {
    return inTransaction(
      this.#pool,
      async (client) => {
        const found = await client.query<AccountRow>(`select ${SHOWN} from smtp_account where name = $1 for update`, [
          name,
        ]);
        if (found.rows[0] === undefined) return { ok: false, fault: 'no-such-account' };
        const before = accountOf(found.rows[0]);
        if (given.ifRevision !== undefined && given.ifRevision !== before.revision)
          return { ok: false, fault: 'stale' };
        const { rows } = await write(client, before);
        if (rows[0] === undefined) throw new Error('a locked account has vanished');
        const after = accountOf(rows[0]);
        return told(client, operation, given, operation === 'remove' ? { before } : { before, after });
      },
      given,
    );
  }
}

async function told(
  client: PoolClient,
  operation: Operation,
  given: AccountChangeContext,
  { before, after }: { readonly before?: SmtpAccount; readonly after?: SmtpAccount },
): Promise<AccountResult> {
  const account = after ?? before;
  if (account === undefined) throw new Error('a change of nothing');
  await writeEvents(client, [
    {
      id: newId(),
      kind: 'account.changed',
      data: {
        account: account.name,
        operation,
        ...(before !== undefined && { before: recorded(before) }),
        ...(after !== undefined && { after: recorded(after) }),
        actor: given.actor,
        ...(given.reason !== undefined && { reason: given.reason }),
      },
    },
  ]);
  return { ok: true, account };
}

function recorded(account: SmtpAccount): RecordedAccount {
  return {
    revision: account.revision,
    identities: account.identities,
    disabled: account.disabledAt !== undefined,
    ...(account.expiresAt !== undefined && { expiresAt: account.expiresAt.toISOString() }),
    ...(account.note !== undefined && { note: account.note }),
  };
}

interface AccountRow {
  name: string;
  revision: number;
  identities: string[];
  note: string | null;
  disabled_at: Date | null;
  expires_at: Date | null;
  password_set_at: Date;
  created_at: Date;
  created_by: string;
  updated_at: Date;
  updated_by: string;
}

interface StoredCredentials {
  revision: number;
  password_hash: string;
  scram_salt: Buffer;
  scram_iterations: number;
  scram_stored_key: Buffer;
  scram_server_key: Buffer;
  identities: string[];
}

type CredentialsRow = { seed: Buffer } & (StoredCredentials | { revision: null });

function columnsOf({ hash, scram }: PasswordVerifiers): readonly unknown[] {
  return [hash, scram.salt, scram.iterations, scram.storedKey, scram.serverKey];
}

function credentialsOf(row: StoredCredentials): NonNullable<AccountCredentials['account']> {
  return {
    revision: row.revision,
    passwordHash: row.password_hash,
    identities: row.identities,
    scram: {
      salt: row.scram_salt,
      iterations: row.scram_iterations,
      storedKey: row.scram_stored_key,
      serverKey: row.scram_server_key,
    },
  };
}

function accountOf(row: AccountRow): SmtpAccount {
  return {
    name: row.name,
    revision: row.revision,
    identities: row.identities,
    passwordSetAt: row.password_set_at,
    createdAt: row.created_at,
    createdBy: row.created_by,
    updatedAt: row.updated_at,
    updatedBy: row.updated_by,
    ...(row.note === null ? {} : { note: row.note }),
    ...(row.disabled_at === null ? {} : { disabledAt: row.disabled_at }),
    ...(row.expires_at === null ? {} : { expiresAt: row.expires_at }),
  };
}
