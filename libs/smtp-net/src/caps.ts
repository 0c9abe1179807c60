/**
 * How many connections a server has, from whom: counted over all its listeners, told before anything is looked up.
 */
import type { SmtpLimits } from '#smtp-core';
import { Counts, networkOf, ONE_CLIENT } from './client-address.js';

/** One place among the connections; to be given back. */
export interface Place {
  readonly client: string;
  readonly network: string;
}

export class Caps {
  /** Connections of all listeners, also those that are no session yet. */
  connections = 0;
  readonly #clients = new Counts();
  readonly #networks = new Counts();

  /** Undefined when the client, or its network, has as many as it may. */
  enter(address: string, limits: SmtpLimits): Place | undefined {
    const client = networkOf(address, ONE_CLIENT);
    const network = networkOf(address, { ipv4: limits.ipv4NetworkBits, ipv6: limits.ipv6NetworkBits });
    if (!this.#clients.enter(client, limits.maxConnectionsPerAddress)) return undefined;
    // A network has room for what one client of it may have.
    const max = Math.max(limits.maxConnectionsPerNetwork, limits.maxConnectionsPerAddress);
    if (this.#networks.enter(network, max)) return { client, network };
    this.#clients.leave(client);
    return undefined;
  }

  leave({ client, network }: Place): void {
    this.#clients.leave(client);
    this.#networks.leave(network);
  }
}
