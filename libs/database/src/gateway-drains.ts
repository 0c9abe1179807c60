/** Which gateways are to take no new sessions: what operators want. What a gateway does about it, it tells with its beat. */
import type { Pool } from 'pg';
import { writeEvents } from './admin-events.js';
import { inTransaction, query } from './connections.js';
import { newId } from './new-id.js';

export const DRAIN_CHANNEL = 'gateway_drain';

export interface DrainChange {
  /** Name of the gateway. */
  readonly name: string;
  readonly actor: string;
  readonly reason?: string;
}

export class GatewayDrains {
  readonly #pool: Pool;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  /** Lasts until it is resumed, also over a restart of the gateway. False: it was so before. */
  drain(change: DrainChange): Promise<boolean> {
    const { name, actor, reason } = change;
    const text = 'insert into gateway_drain (name, actor, reason) values ($1, $2, $3) on conflict do nothing';
    return this.#change(change, 'gateway.drained', { text, values: [name, actor, reason ?? null] });
  }

  resume(change: DrainChange): Promise<boolean> {
    const text = 'delete from gateway_drain where name = $1';
    return this.#change(change, 'gateway.resumed', { text, values: [change.name] });
  }

  async isDrained(name: string): Promise<boolean> {
    const { rowCount } = await query(this.#pool, { text: 'select from gateway_drain where name = $1', values: [name] });
    return rowCount === 1;
  }

  #change(
    { name, actor, reason }: DrainChange,
    kind: 'gateway.drained' | 'gateway.resumed',
    statement: { readonly text: string; readonly values: unknown[] },
  ): Promise<boolean> {
    return inTransaction(this.#pool, async (client) => {
      const { rowCount } = await client.query(statement);
      if (rowCount === 0) return false;
      const data = { node: name, actor, ...(reason === undefined ? {} : { reason }) };
      await writeEvents(client, [{ id: newId(), kind, data }]);
      await client.query(`select pg_notify('${DRAIN_CHANNEL}', $1)`, [name]);
      return true;
    });
  }
}
