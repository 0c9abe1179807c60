/** Mail on its way from the acceptance to the relay, without the detour over the queue: made ready to leave in between. */
import type { QueuedMessage } from '#delivery';
import type { FirstAttempt } from '../inbound/accept-message.js';
import type { OutgoingMail } from './outgoing-mail.js';

export class FirstAttempts implements FirstAttempt {
  constructor(
    private readonly relay: FirstAttempt,
    private readonly outgoing: Pick<OutgoingMail, 'prepared'>,
  ) {}

  hasRoom(...asked: Parameters<FirstAttempt['hasRoom']>): boolean {
    return this.relay.hasRoom(...asked);
  }

  offer(message: QueuedMessage): boolean {
    if (message.headerChanges === undefined) return this.relay.offer(message);
    // Content in memory can be read. Where there is no room any more when it is ready, the relay gives the leases back.
    void this.outgoing
      .prepared(message)
      .catch(() => ({ ...message, unready: 'the message could not be made ready to leave' }))
      .then((ready) => this.relay.offer(ready));
    return true;
  }

  wake(): void {
    this.relay.wake();
  }
}
