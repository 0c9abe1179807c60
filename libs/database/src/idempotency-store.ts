/**
 * Requests that may be sent twice and must be done once. A caller's key is taken before the work begins, so that of two
 * at the same time one works; the answer is kept for a day, sealed by who calls this: here it is only octets.
 */
import type { Pool } from 'pg';
import { inTransaction, query } from './connections.js';

const KEPT = `interval '24 hours'`;

export interface IdempotentRequest {
  /** Id of the API key that asks. */
  readonly apiKey: string;
  /** As the caller chose it. */
  readonly key: string;
}

export type BegunRequest =
  /** Do it, then `finish` or `forget`. */
  | { readonly kind: 'new' }
  | { readonly kind: 'answered'; readonly answer: Buffer }
  /** Begun and not answered: it is under way, or was cut off. */
  | { readonly kind: 'unfinished'; readonly startedAt: Date }
  /** The key was used for something else. */
  | { readonly kind: 'another' };

export class IdempotencyStore {
  readonly #pool: Pool;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  /** `fingerprint`: 32 octets that two requests share only when they ask for the same. */
  async begin({ apiKey, key }: IdempotentRequest, fingerprint: Buffer): Promise<BegunRequest> {
    return inTransaction(this.#pool, async (client) => {
      await client.query(`delete from idempotent_request where started_at < now() - ${KEPT}`);
      const taken = await client.query(
        'insert into idempotent_request (api_key, key, fingerprint) values ($1, $2, $3) on conflict do nothing',
        [apiKey, key, fingerprint],
      );
      if (taken.rowCount === 1) return { kind: 'new' };
      const { rows } = await client.query<{ fingerprint: Buffer; started_at: Date; answer: Buffer | null }>(
        'select fingerprint, started_at, answer from idempotent_request where api_key = $1 and key = $2',
        [apiKey, key],
      );
      const row = rows[0];
      if (row === undefined) return { kind: 'unfinished', startedAt: new Date() }; // forgotten this very moment
      if (!row.fingerprint.equals(fingerprint)) return { kind: 'another' };
      return row.answer === null
        ? { kind: 'unfinished', startedAt: row.started_at }
        : { kind: 'answered', answer: row.answer };
    });
  }

  async finish({ apiKey, key }: IdempotentRequest, answer: Buffer): Promise<void> {
    await query(this.#pool, {
      text: 'update idempotent_request set answer = $3 where api_key = $1 and key = $2',
      values: [apiKey, key, answer],
    });
  }

  /** It did nothing: the key may be used again. */
  async forget({ apiKey, key }: IdempotentRequest): Promise<void> {
    await query(this.#pool, {
      text: 'delete from idempotent_request where api_key = $1 and key = $2 and answer is null',
      values: [apiKey, key],
    });
  }
}
