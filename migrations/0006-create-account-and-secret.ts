/** SMTP accounts, and the secrets that the relay signs in with elsewhere. */
import type { MigrationInterface, QueryRunner } from 'typeorm';

export class CreateAccountAndSecret1763800000006 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await createAccount(runner);
    await createSecret(runner);
  }

  async down(): Promise<void> {
    await Promise.reject(new Error('migrations are forward-only'));
  }
}

async function createAccount(runner: QueryRunner): Promise<void> {
  await runner.query(`create sequence account_revision as integer`);
  await runner.query(`
    create table smtp_account (
      name text not null,
      revision integer not null default nextval('account_revision'),
      password_hash text not null,
      scram_salt bytea not null,
      scram_iterations integer not null,
      scram_stored_key bytea not null,
      scram_server_key bytea not null,
      password_set_at timestamptz not null default now(),
      identities text[] not null default '{}',
      note text,
      disabled_at timestamptz,
      expires_at timestamptz,
      created_at timestamptz not null default now(),
      created_by text not null,
      updated_at timestamptz not null default now(),
      updated_by text not null,
      constraint smtp_account_pkey primary key (name),
      constraint smtp_account_name_check check (name = lower(name) and name <> ''),
      constraint smtp_account_password_check check (starts_with(password_hash, '$argon2id$')),
      constraint smtp_account_scram_check check (scram_iterations >= 4096
        and octet_length(scram_salt) >= 16 and octet_length(scram_stored_key) = 32 and octet_length(scram_server_key) = 32)
    )`);
  await runner.query(`comment on table smtp_account is 'who may sign in over SMTP; passwords only as verifiers'`);
  await runner.query(`comment on column smtp_account.password_hash is 'argon2id in PHC form, for PLAIN and LOGIN'`);
  await runner.query(`comment on column smtp_account.scram_stored_key is 'RFC 5802: H(HMAC(salted password, ...))'`);
  await runner.query(
    `comment on column smtp_account.revision is 'grows with every change, and is no other account''s: the entity tag'`,
  );
  await runner.query(`comment on column smtp_account.identities is 'addresses it may send as; *@domain is all of one'`);
  await runner.query(`
    create table scram_decoy (
      one boolean not null default true,
      seed bytea not null,
      constraint scram_decoy_pkey primary key (one),
      constraint scram_decoy_one_check check (one),
      constraint scram_decoy_seed_check check (octet_length(seed) = 32)
    )`);
  await runner.query(
    `comment on table scram_decoy is 'one row: an unknown name gets the same made-up salt from every gateway, always'`,
  );
  // A random UUID has 122 random bits: two make more than a digest can hold.
  await runner.query(
    `insert into scram_decoy (seed) select sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())
       || uuid_send(gen_random_uuid()))`,
  );
}

async function createSecret(runner: QueryRunner): Promise<void> {
  await runner.query(`create sequence secret_revision as integer`);
  await runner.query(`
    create table secret (
      name text not null,
      revision integer not null default nextval('secret_revision'),
      key_id text not null,
      nonce bytea not null,
      sealed bytea not null,
      note text,
      created_at timestamptz not null default now(),
      created_by text not null,
      updated_at timestamptz not null default now(),
      updated_by text not null,
      constraint secret_pkey primary key (name),
      constraint secret_nonce_check check (octet_length(nonce) = 12),
      constraint secret_sealed_check check (octet_length(sealed) >= 16)
    )`);
  await runner.query(`comment on table secret is 'AES-256-GCM under a key that is never in the database'`);
  await runner.query(`comment on column secret.key_id is 'which key sealed it: first octets of the key''s digest'`);
  await runner.query(`comment on column secret.sealed is 'ciphertext and its 16 octets of tag; bound to the name'`);
  await runner.query(`create index secret_key_id_idx on secret (key_id)`);
}
