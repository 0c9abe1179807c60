import { Inject, Injectable } from '@nestjs/common';
import { DatabaseAccess } from '../database-access.js';
import type { GatewayDto } from './gateway.dto.js';

@Injectable()
export class GatewaysService {
  constructor(@Inject(DatabaseAccess) private readonly database: DatabaseAccess) {}

  async all(): Promise<GatewayDto[]> {
    const nodes = await this.database.current.nodes.list();
    return nodes.map((node) => ({
      name: node.name,
      alive: node.alive,
      ...(node.revision !== undefined && { revision: node.revision }),
      ...(node.digest !== undefined && { digest: node.digest }),
      startedAt: node.startedAt.toISOString(),
    }));
  }
}
