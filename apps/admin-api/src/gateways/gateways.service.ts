import { Inject, Injectable } from '@nestjs/common';
import type { GatewayNode, StoredEvent } from '#database';
import { DatabaseAccess } from '../database-access.js';
import type { GatewayDto } from './gateway.dto.js';

const MOST_LOADS = 500;

/** Gateways, with the revision each told the audit that it loaded. */
@Injectable()
export class GatewaysService {
  constructor(@Inject(DatabaseAccess) private readonly database: DatabaseAccess) {}

  async all(): Promise<GatewayDto[]> {
    const { nodes, audit } = this.database.current;
    const gateways = await nodes.list();
    const running = gateways.filter((gateway) => gateway.alive);
    if (running.length === 0) return gateways.map((gateway) => gatewayDto(gateway, undefined));
    const since = new Date(Math.min(...running.map((gateway) => gateway.startedAt.getTime())));
    const loads = await audit.events({ kinds: ['policy.loaded'], since, limit: MOST_LOADS });
    return gateways.map((gateway) => gatewayDto(gateway, lastLoad(gateway, loads.data)));
  }
}

type Loaded = Extract<StoredEvent, { readonly kind: 'policy.loaded' }>;

/** Events come newest first. What an earlier start of the same name loaded does not count. */
function lastLoad(gateway: GatewayNode, events: readonly StoredEvent[]): Loaded | undefined {
  return events
    .filter((event): event is Loaded => event.kind === 'policy.loaded')
    .find((event) => event.data.node === gateway.name && gateway.alive && event.at >= gateway.startedAt);
}

function gatewayDto(gateway: GatewayNode, loaded: Loaded | undefined): GatewayDto {
  return {
    name: gateway.name,
    alive: gateway.alive,
    ...(loaded !== undefined && { revision: loaded.data.revision, digest: loaded.data.digest }),
    startedAt: gateway.startedAt.toISOString(),
    ...(gateway.stoppedAt !== undefined && { stoppedAt: gateway.stoppedAt.toISOString() }),
  };
}
