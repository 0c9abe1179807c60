/** What operators do to the queue: holds, suspended destinations, gateways that drain, and questions to gateways. */
import type { MigrationInterface, QueryRunner } from 'typeorm';

export class AddQueueOperations1763800000016 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await changeQueue(runner);
    await createSuspendedDestination(runner);
    await changeNode(runner);
    await createQuestions(runner);
  }

  async down(): Promise<void> {
    await Promise.reject(new Error('migrations are forward-only'));
  }
}

async function changeQueue(runner: QueryRunner): Promise<void> {
  await runner.query(`
    create function address_domain(address text) returns text language sql immutable strict parallel safe as $$
      select lower(substring(address from '[^@]*$'))
    $$`);
  await runner.query(`comment on function address_domain is 'domain of an address, lower case'`);
  await runner.query(`
    alter table queue drop constraint queue_state_check,
      add constraint queue_state_check check (state in ('queued', 'held', 'suspended', 'broken')),
      add column hold jsonb`);
  await runner.query(
    `comment on column queue.hold is 'who held it, when and why; mail held for review has review instead'`,
  );
  await runner.query(
    `comment on column queue.refusal is 'reply of a person or a review instead of the next hop: nothing is attempted, the sender gets a notice'`,
  );
}

async function createSuspendedDestination(runner: QueryRunner): Promise<void> {
  await runner.query(`
    create table suspended_destination (
      domain text not null,
      actor text not null,
      reason text,
      suspended_at timestamptz not null default now(),
      constraint suspended_destination_pkey primary key (domain),
      constraint suspended_destination_domain_check check (domain = lower(domain) and domain <> '')
    )`);
  await runner.query(
    `comment on table suspended_destination is 'domains whose mail waits: accepted, queued, and attempted by no gateway'`,
  );
}

async function changeNode(runner: QueryRunner): Promise<void> {
  await runner.query(`
    create table gateway_drain (
      name text not null,
      actor text not null,
      reason text,
      asked_at timestamptz not null default now(),
      constraint gateway_drain_pkey primary key (name)
    )`);
  await runner.query(
    `comment on table gateway_drain is 'gateways that are to take no new sessions, until they are resumed'`,
  );
  await runner.query(`
    alter table node add column draining boolean not null default false, add column sessions integer,
      add column jobs integer, add column last_error text, add column last_error_at timestamptz`);
  await runner.query(
    `comment on column node.draining is 'it takes no new sessions and no mail from the queue, as it last said'`,
  );
  await runner.query(`comment on column node.sessions is 'open sessions, as it last said'`);
  await runner.query(`comment on column node.jobs is 'outbound transactions that wait or run in it, as it last said'`);
  await runner.query(`comment on column node.last_error is 'the last error in its log'`);
}

async function createQuestions(runner: QueryRunner): Promise<void> {
  await runner.query(`
    create unlogged table gateway_question (
      id uuid not null,
      question jsonb not null,
      asked_at timestamptz not null default now(),
      constraint gateway_question_pkey primary key (id)
    )`);
  await runner.query(
    `comment on table gateway_question is 'what the admin API wants to know of the running gateways; answered within seconds or never'`,
  );
  await runner.query(`
    create unlogged table gateway_answer (
      question uuid not null,
      node text not null,
      answer jsonb not null,
      constraint gateway_answer_pkey primary key (question, node)
    )`);
  await runner.query(
    `comment on table gateway_answer is 'one row per gateway that answered; removed with the question'`,
  );
}
