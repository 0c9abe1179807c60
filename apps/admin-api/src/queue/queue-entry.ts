/** The queue in the words of the API. */
import { publicId, type RecordedPlace } from '#audit';
import type { QueueEntry, QueueFilter, RecipientChanged } from '#database';
import type { Fields } from '../http/fields.js';
import { instantOf } from '../http/time.js';
import { invalidRequest } from '../http/validation.js';
import type { ChangedRecipientDto, PlaceDto, QueueFilterDto } from './message.dto.js';
import type { QueueEntryDto } from './queue.dto.js';

/** Message and recipient. */
export function isQueuePosition(text: string): boolean {
  return /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12} [0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/u.test(text);
}

export function filterOf(given: QueueFilterDto): QueueFilter {
  const { state, route, domain, recipient, sender, senderDomain } = given;
  const from = timeOf('at.gte', given['at.gte']);
  const until = timeOf('at.lt', given['at.lt']);
  return {
    ...(state !== undefined && { state }),
    ...(route !== undefined && { route }),
    ...(domain !== undefined && { domain }),
    ...(recipient !== undefined && { recipient }),
    ...(sender !== undefined && { sender: sender === '<>' ? '' : sender }),
    ...(senderDomain !== undefined && { senderDomain }),
    ...(from !== undefined && { acceptedFrom: from }),
    ...(until !== undefined && { acceptedUntil: until }),
  };
}

function timeOf(name: string, text: string | undefined): Date | undefined {
  if (text === undefined) return undefined;
  const time = instantOf(text);
  if (time !== undefined) return time;
  throw invalidRequest([
    { code: 'invalid-field', pointer: `/${name}`, message: `\`${name}\` must be a time that exists` },
  ]);
}

export function entryDto(entry: QueueEntry): Fields<QueueEntryDto> {
  const { hold, lastReply, reviewQueue, givenUp, sender } = entry;
  return {
    id: publicId('rcp', entry.id),
    transaction: publicId('txn', entry.messageId),
    ...(sender !== undefined && { sender }),
    recipient: entry.address,
    route: entry.route,
    state: entry.shownState,
    attempts: entry.attempts,
    acceptedAt: entry.acceptedAt.toISOString(),
    nextAttemptAt: entry.nextAttemptAt.toISOString(),
    ...(lastReply !== undefined && lastReply !== '' && { lastReply }),
    ...(reviewQueue !== undefined && { reviewQueue }),
    ...(hold !== undefined && {
      hold: {
        actor: hold.actor,
        ...(hold.reason !== undefined && { reason: hold.reason }),
        at: new Date(hold.atMs).toISOString(),
      },
    }),
    ...(givenUp !== undefined && { givenUp }),
  };
}

export function changedDto({ id, outcome, why, before, after }: RecipientChanged): Fields<ChangedRecipientDto> {
  return {
    id: publicId('rcp', id),
    outcome,
    ...(why !== undefined && { why }),
    ...(before !== undefined && { before: placeDto(before) }),
    ...(after !== undefined && { after: placeDto(after) }),
  };
}

function placeDto({ state, address, route, attempts, nextAttemptAtMs }: RecordedPlace): Fields<PlaceDto> {
  return { state, recipient: address, route, attempts, nextAttemptAt: new Date(nextAttemptAtMs).toISOString() };
}
