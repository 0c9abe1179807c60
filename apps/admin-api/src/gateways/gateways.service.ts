import { Inject, Injectable } from '@nestjs/common';
import type { NodeStatus } from '#database';
import { DatabaseAccess } from '../database-access.js';
import type { GatewayDto } from './gateway.dto.js';

@Injectable()
export class GatewaysService {
  constructor(@Inject(DatabaseAccess) private readonly database: DatabaseAccess) {}

  async all(): Promise<GatewayDto[]> {
    return (await this.database.current.nodes.list()).map(gatewayDto);
  }
}

function gatewayDto(node: NodeStatus): GatewayDto {
  return {
    name: node.name,
    alive: node.alive,
    ...(node.revision !== undefined && { revision: node.revision }),
    ...(node.digest !== undefined && { digest: node.digest }),
    ...(node.refused !== undefined && { refused: node.refused }),
    ...(node.limitsAloneSince !== undefined && { limitsAloneSince: node.limitsAloneSince.toISOString() }),
    startedAt: node.startedAt.toISOString(),
    ...(node.stoppedAt !== undefined && { stoppedAt: node.stoppedAt.toISOString() }),
  };
}
