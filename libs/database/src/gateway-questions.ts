/**
 * Questions of the admin API to the running gateways, over the database: it is what both can reach. A question is asked of
 * all; who lives answers within a moment; after that nobody is interested.
 */
import type { Pool } from 'pg';
import { query } from './connections.js';
import { newId } from './new-id.js';

export const QUESTION_CHANNEL = 'gateway_question';
const POLL_MS = 25;
/** A question of a process that died is nobody's any more. */
const KEPT = `interval '1 minute'`;

/** What mail to `recipient` would meet: by the policy in force, and on the routes that queued mail names. */
export interface ResolveQuestion {
  readonly kind: 'resolve';
  readonly domain: string;
  readonly facts: Readonly<Record<string, string>>;
  readonly routes: readonly string[];
}

/** What would become of held mail, were it released now. */
export interface ReleaseQuestion {
  readonly kind: 'release';
  /** Of the recipient. */
  readonly id: string;
}

export type GatewayQuestion = ResolveQuestion | ReleaseQuestion;

export interface GatewayAnswer {
  readonly node: string;
  /** JSON. */
  readonly answer: unknown;
}

export class GatewayQuestions {
  readonly #pool: Pool;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  /** Resolves when `enough` of `nodes` (all of them) have answered, or the time is up, with the answers there are. */
  async ask(
    question: GatewayQuestion,
    nodes: readonly string[],
    timeoutMs: number,
    enough = nodes.length,
  ): Promise<readonly GatewayAnswer[]> {
    const id = newId();
    await query(this.#pool, {
      text: `with asked as (insert into gateway_question (id, question) values ($1, $2::jsonb))
             select pg_notify('${QUESTION_CHANNEL}', $1::text)`,
      values: [id, JSON.stringify(question)],
    });
    try {
      return await this.#collect(id, nodes, { timeoutMs, enough });
    } finally {
      await this.#remove(id);
    }
  }

  /** Undefined: the question is gone. */
  async read(id: string): Promise<GatewayQuestion | undefined> {
    const { rows } = await query<{ question: GatewayQuestion }>(this.#pool, {
      text: 'select question from gateway_question where id = $1',
      values: [id],
    });
    return rows[0]?.question;
  }

  async answer(id: string, node: string, answer: object): Promise<void> {
    await query(this.#pool, {
      text: `insert into gateway_answer (question, node, answer) select $1, $2, $3::jsonb
             where exists (select from gateway_question where id = $1) on conflict do nothing`,
      values: [id, node, JSON.stringify(answer)],
    });
  }

  async #collect(
    id: string,
    nodes: readonly string[],
    { timeoutMs, enough }: { readonly timeoutMs: number; readonly enough: number },
  ): Promise<readonly GatewayAnswer[]> {
    const deadlineMs = performance.now() + timeoutMs;
    for (;;) {
      const { rows } = await query<{ node: string; answer: unknown }>(this.#pool, {
        text: 'select node, answer from gateway_answer where question = $1 order by node',
        values: [id],
      });
      const answered = nodes.filter((name) => rows.some(({ node }) => node === name));
      if (answered.length >= enough || performance.now() > deadlineMs) return rows;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  async #remove(id: string): Promise<void> {
    await query(this.#pool, {
      text: `with old as (delete from gateway_question where id = $1 or asked_at < now() - ${KEPT} returning id)
             delete from gateway_answer a where a.question = $1 or a.question in (select id from old)`,
      values: [id],
    });
  }
}
