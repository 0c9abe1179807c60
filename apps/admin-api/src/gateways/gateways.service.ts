import { Inject, Injectable } from '@nestjs/common';
import type { NodeStatus } from '#database';
import { DatabaseAccess } from '../database-access.js';
import type { Change } from '../http/change.decorator.js';
import type { Fields } from '../http/fields.js';
import { Problem } from '../http/problem.js';
import type { GatewayDto } from './gateway.dto.js';

/** Until a gateway has said that it heard it. */
const WAIT_MS = 1_500;
const POLL_MS = 50;

@Injectable()
export class GatewaysService {
  constructor(@Inject(DatabaseAccess) private readonly database: DatabaseAccess) {}

  async all(): Promise<GatewayDto[]> {
    return (await this.database.current.nodes.list()).map(gatewayDto);
  }

  async one(name: string): Promise<GatewayDto> {
    return gatewayDto(await this.found(name));
  }

  async drain(name: string, change: Change, dryRun: boolean): Promise<GatewayDto> {
    const node = await this.found(name);
    if (dryRun) return gatewayDto(node);
    await this.database.current.drains.drain({ name: node.name, ...wordOf(change) });
    return this.heard(name, true);
  }

  async resume(name: string, change: Change, dryRun: boolean): Promise<GatewayDto> {
    const node = await this.found(name);
    if (dryRun) return gatewayDto(node);
    await this.database.current.drains.resume({ name: node.name, ...wordOf(change) });
    return this.heard(name, false);
  }

  private async found(name: string): Promise<NodeStatus> {
    const node = (await this.database.current.nodes.list()).find((each) => each.name === name);
    if (node === undefined) throw new Problem('not-found', 'no gateway of this name has run within a day');
    return node;
  }

  private async heard(name: string, draining: boolean): Promise<GatewayDto> {
    const deadlineMs = Date.now() + WAIT_MS;
    for (;;) {
      const node = await this.found(name);
      const hasHeard = !node.alive || node.figures?.draining === draining;
      if (hasHeard || Date.now() > deadlineMs) return gatewayDto(node);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }
}

function wordOf({ actor, reason }: Change): { readonly actor: string; readonly reason?: string } {
  return { actor, ...(reason !== undefined && { reason }) };
}

function stateOf({ alive, stoppedAt, drain, figures }: NodeStatus): GatewayDto['state'] {
  if (!alive || stoppedAt !== undefined) return 'stopped';
  if (drain === undefined) return 'active';
  const isIdle = figures?.draining === true && figures.sessions === 0 && figures.jobs === 0;
  return isIdle ? 'drained' : 'draining';
}

function gatewayDto(node: NodeStatus): Fields<GatewayDto> {
  const { drain, figures } = node;
  return {
    name: node.name,
    alive: node.alive,
    state: stateOf(node),
    ...(drain !== undefined && { drain: { ...drain, since: drain.since.toISOString() } }),
    ...(figures !== undefined && { sessions: figures.sessions, jobs: figures.jobs }),
    ...(figures?.lastError !== undefined && {
      lastError: { message: figures.lastError.message, at: figures.lastError.at.toISOString() },
    }),
    ...(node.revision !== undefined && { revision: node.revision }),
    ...(node.digest !== undefined && { digest: node.digest }),
    ...(node.refused !== undefined && { refused: node.refused }),
    ...(node.limitsAloneSince !== undefined && { limitsAloneSince: node.limitsAloneSince.toISOString() }),
    startedAt: node.startedAt.toISOString(),
    ...(node.stoppedAt !== undefined && { stoppedAt: node.stoppedAt.toISOString() }),
  };
}
