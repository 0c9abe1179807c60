import { Inject, Injectable } from '@nestjs/common';
import type { NodeStatus, PolicyRelease } from '#database';
import { DatabaseAccess } from '../../database-access.js';
import type { Change } from '../../http/change.decorator.js';
import type { Fields } from '../../http/fields.js';
import { readCursor, writeCursor } from '../../http/page.js';
import type { PageQuery } from '../../http/page.dto.js';
import { Problem } from '../../http/problem.js';
import { POLICY_NAME } from '../policy-name.js';
import type { ReleaseGatewayDto, ReleasePageDto, ReleaseStatusDto, ReleaseSummaryDto } from './release.dto.js';

/** What was live when, and how far the gateways follow. What is in force the database decides, by what is stored and its clock. */
@Injectable()
export class ReleasesService {
  constructor(@Inject(DatabaseAccess) private readonly database: DatabaseAccess) {}

  async list(query: PageQuery): Promise<ReleasePageDto> {
    const { policies } = this.database.current;
    const after = readCursor(query.after, (text) => /^\d{1,9}$/u.test(text));
    const [page, live] = await Promise.all([
      policies.history({ policy: POLICY_NAME, limit: query.limit, ...(after !== undefined && { after }) }),
      policies.liveRelease(POLICY_NAME),
    ]);
    return {
      data: page.data.map((release) => summaryOf(release, live)),
      ...(page.next !== undefined && { next: writeCursor(page.next) }),
    };
  }

  async get(id: number): Promise<ReleaseStatusDto> {
    const release = await this.database.current.policies.release(id, POLICY_NAME);
    if (release === undefined) throw noRelease();
    return this.statusOf(release);
  }

  async end(id: number, kind: 'confirmed' | 'aborted', { actor, reason }: Change): Promise<ReleaseStatusDto> {
    const result = await this.database.current.policies.endRelease(id, {
      policy: POLICY_NAME,
      kind,
      actor,
      ...(reason !== undefined && { reason }),
    });
    if (result.ok) return this.statusOf(result.release);
    if (result.fault === 'no-such-release') throw noRelease();
    throw new Problem('conflict', whySettled(result.release));
  }

  private async statusOf(release: PolicyRelease): Promise<ReleaseStatusDto> {
    const [live, nodes] = await Promise.all([
      this.database.current.policies.liveRelease(POLICY_NAME),
      this.database.current.nodes.list(),
    ]);
    const inForce = live?.id === release.id;
    const gateways = inForce
      ? nodes.filter(({ alive }) => alive).map((node) => gatewayDto(node, release.revision))
      : [];
    return {
      ...summaryOf(release, live),
      complete: inForce && gateways.every(({ state }) => state === 'runs'),
      gateways,
    };
  }
}

function summaryOf(release: PolicyRelease, live: PolicyRelease | undefined): Fields<ReleaseSummaryDto> {
  const { id, revision, previous, actor, reason, releasedAt, confirmBy, end } = release;
  return {
    id,
    revision,
    ...(previous !== undefined && { previous }),
    actor,
    ...(reason !== undefined && { reason }),
    releasedAt: releasedAt.toISOString(),
    ...(confirmBy !== undefined && { confirmBy: confirmBy.toISOString() }),
    state: stateOf(release, live),
    ...(end !== undefined && {
      end: {
        kind: end.kind,
        actor: end.actor,
        ...(end.reason !== undefined && { reason: end.reason }),
        at: end.endedAt.toISOString(),
      },
    }),
  };
}

/** A release that nobody confirmed lapses by time; that is noted only later. */
function stateOf({ id, confirmBy, end }: PolicyRelease, live: PolicyRelease | undefined): ReleaseSummaryDto['state'] {
  const isOpen = confirmBy !== undefined && end === undefined;
  if (live?.id === id) return isOpen ? 'awaiting-confirmation' : 'live';
  if (end !== undefined && end.kind !== 'confirmed') return end.kind;
  return isOpen ? 'lapsed' : 'superseded';
}

function whySettled(release: PolicyRelease): string {
  const { id, confirmBy, end } = release;
  if (confirmBy === undefined) {
    return `release ${id} waits for nobody; release an older revision to go back`;
  }
  if (end !== undefined)
    return `release ${id} is settled: ${end.kind} by \`${end.actor}\` at ${end.endedAt.toISOString()}`;
  return `release ${id} has lapsed: nobody confirmed it before ${confirmBy.toISOString()}; release its revision again`;
}

function gatewayDto({ name, revision, refused }: NodeStatus, wanted: number): ReleaseGatewayDto {
  const running = revision === undefined ? {} : { revision };
  if (revision === wanted) return { name, ...running, state: 'runs' };
  if (refused?.revision === wanted) return { name, ...running, state: 'refuses', reason: refused.reason };
  return { name, ...running, state: 'behind' };
}

function noRelease(): Problem {
  return new Problem('not-found', 'there is no such release');
}
