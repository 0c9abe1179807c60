import { Inject, Injectable } from '@nestjs/common';
import { parsePublicId, publicId, type ReviewAction } from '#audit';
import type { HeldMail } from '#database';
import { DatabaseAccess } from '../database-access.js';
import type { Change } from '../http/change.decorator.js';
import type { Fields } from '../http/fields.js';
import { readCursor, writeCursor } from '../http/page.js';
import { Problem } from '../http/problem.js';
import { invalidRequest } from '../http/validation.js';
import type { ReviewDto, ReviewOutcomeDto, ReviewPageDto, ReviewSearch, ReviewSummaryDto } from './review.dto.js';

/** Gateways are told at once and mostly done within a second. */
const WAIT_MS = 4_000;
const POLL_MS = 100;

interface Outcome {
  readonly outcome: string;
  readonly kept?: string;
}

const OUTCOMES: Readonly<Record<ReviewAction, ReviewOutcomeDto['outcome']>> = {
  release: 'released',
  reject: 'returned',
  return: 'returned',
  discard: 'discarded',
};

@Injectable()
export class ReviewsService {
  constructor(@Inject(DatabaseAccess) private readonly database: DatabaseAccess) {}

  async list(search: ReviewSearch): Promise<ReviewPageDto> {
    const after = readCursor(search.after, isPosition);
    const page = await this.database.current.reviews.list({
      limit: search.limit,
      ...(search.queue !== undefined && { queue: search.queue }),
      ...(after !== undefined && { after }),
    });
    return { data: page.data.map(summaryOf), ...(page.next !== undefined && { next: writeCursor(page.next) }) };
  }

  async one(id: string): Promise<ReviewDto> {
    const held = await this.database.current.reviews.get(uuidOf(id));
    if (held === undefined) throw notHeld();
    return { ...summaryOf(held), header: [...held.preview.fields], text: held.preview.text };
  }

  /** What it would come to. A release is judged by a gateway, which has policy and content. */
  async dryRun(id: string, action: ReviewAction, reason: string | undefined): Promise<ReviewOutcomeDto> {
    requireReason(action, reason);
    const { nodes, questions, reviews } = this.database.current;
    const uuid = uuidOf(id);
    if ((await reviews.get(uuid)) === undefined) throw notHeld();
    if (action !== 'release') return { id, outcome: OUTCOMES[action], dryRun: true };
    const names = (await nodes.list()).flatMap(({ alive, name }) => (alive ? [name] : []));
    const [first] = await questions.ask({ kind: 'release', id: uuid }, names, WAIT_MS, 1);
    if (first === undefined) throw new Problem('conflict', 'no gateway has answered what would become of it');
    const { released, why } = first.answer as { released: boolean; why?: string };
    if (released) return { id, outcome: 'released', dryRun: true };
    return { id, outcome: 'kept', ...(why !== undefined && { kept: why }), dryRun: true };
  }

  /** Notes it, and waits a little for the gateway that carries it out. */
  async act(id: string, action: ReviewAction, { actor, reason }: Change): Promise<ReviewOutcomeDto> {
    requireReason(action, reason);
    const { reviews } = this.database.current;
    const uuid = uuidOf(id);
    const request = { action, actor, atMs: Date.now(), ...(reason !== undefined && { reason }) };
    const answer = await reviews.request(uuid, request);
    if (answer === 'not-held') throw notHeld();
    if (answer === 'busy')
      throw new Problem('conflict', 'something else was asked for before and is being carried out');
    return { id, ...(await this.outcome(uuid, action)) };
  }

  private async outcome(uuid: string, action: ReviewAction): Promise<Outcome> {
    const deadlineMs = Date.now() + WAIT_MS;
    while (Date.now() < deadlineMs) {
      const held = await this.database.current.reviews.get(uuid);
      if (held === undefined) return { outcome: OUTCOMES[action] };
      if (held.request === undefined) return { outcome: 'kept', ...(held.kept !== undefined && { kept: held.kept }) };
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    return { outcome: 'requested' };
  }
}

/** What loses mail says why. */
function requireReason(action: ReviewAction, reason: string | undefined): void {
  if (action !== 'discard' || reason !== undefined) return;
  const message = 'discarding loses mail: the header `Reason` must say why';
  throw invalidRequest([{ code: 'missing-header', message }]);
}

function uuidOf(id: string): string {
  const uuid = parsePublicId('rcp', id);
  if (uuid === undefined) throw notHeld();
  return uuid;
}

function notHeld(): Problem {
  return new Problem('not-found', 'no mail is held under this id (any more)');
}

function isPosition(text: string): boolean {
  return /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12} [0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/u.test(text);
}

function summaryOf(held: HeldMail): Fields<ReviewSummaryDto> {
  const { instead, kept, request } = held;
  const subject = held.preview.fields.find(({ name }) => name === 'subject')?.value;
  return {
    id: publicId('rcp', held.id),
    transaction: publicId('txn', held.messageId),
    queue: held.queue,
    rule: held.rule,
    sender: held.sender,
    recipient: held.address,
    ...(subject !== undefined && { subject }),
    sizeBytes: held.sizeBytes,
    heldAt: timeText(held.heldAtMs),
    expiresAt: timeText(held.expiresAtMs),
    ...(instead !== undefined && { insteadOf: instead }),
    ...(kept !== undefined && { kept }),
    ...(request !== undefined && {
      requested: {
        action: request.action,
        actor: request.actor,
        at: timeText(request.atMs),
        ...(request.reason !== undefined && { reason: request.reason }),
      },
    }),
  };
}

function timeText(ms: number): string {
  return new Date(ms).toISOString();
}
