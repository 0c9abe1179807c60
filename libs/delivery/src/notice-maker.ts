/**
 * Makes notices into messages of our own: content, route as the live policy gives it, and the audit of both. Suppresses
 * what must not be sent: nothing answers the null sender, nothing goes where the policy relays nothing.
 */
import type { AuditEvent } from '#audit';
import type { Job } from './job.js';
import { buildNotice } from './notice.js';
import type { Notice, NoticedRecipient, NoticeInput } from './notice.js';
import { NoticeLimit } from './notice-limit.js';
import type { NoticeAction } from './notice-wishes.js';
import { domainOf } from './message-jobs.js';
import type { MessageToStore, NoticeRouting, NoticeRules, RelayEnvironment } from './ports.js';
import { MAX_HEADER_BYTES } from './returned-header.js';

/** A larger message is not returned whole, whatever RET says: its header is. */
const MAX_RETURNED_BYTES = 1_048_576;
const DEFAULT_RULES: NoticeRules = { form: 'multipart', limit: { max: 1000, perMs: 3_600_000 }, words: {} };

export class NoticeMaker {
  readonly #environment: RelayEnvironment;
  readonly #hostname: string;
  readonly #limit = new NoticeLimit();

  constructor(environment: RelayEnvironment, hostname: string) {
    this.#environment = environment;
    this.#hostname = hostname;
  }

  /** Undefined when there is none to send; the audit knows why. Never rejects. */
  async make(
    job: Job,
    action: NoticeAction,
    recipients: readonly NoticedRecipient[],
  ): Promise<MessageToStore | undefined> {
    const { message } = job;
    try {
      const routing = message.sender === '' ? undefined : this.#environment.routeNotice(message.sender);
      if (routing === undefined) {
        const why = message.sender === '' ? 'null sender' : 'the policy routes no mail to the sender';
        this.suppress(job, recipients, why);
      } else {
        const rules = this.#environment.noticeRules() ?? DEFAULT_RULES;
        if (this.#mayTell(message.sender, rules)) return await this.#made(job, { action, recipients, routing, rules });
        this.suppress(job, recipients, 'the domain of the sender has had as many notices as the policy allows');
      }
    } catch (error) {
      this.suppress(job, recipients, 'the notice could not be made');
      this.#environment.warn(`notice about message ${message.id} could not be made`, error);
    }
    return undefined;
  }

  #mayTell(sender: string, { limit }: NoticeRules): boolean {
    const { clock } = this.#environment;
    const share = { ...limit, max: Math.ceil(limit.max / Math.max(1, this.#environment.gateways())) };
    return this.#limit.allows(domainOf(sender), share, clock.nowMs());
  }

  suppress(job: Job, recipients: readonly NoticedRecipient[], reason: string): void {
    const { id, sender } = job.message;
    const data = { reason, recipients: recipients.map(({ address }) => address) };
    const ids = { id: this.#environment.newId(), transactionId: id, sender };
    this.#environment.appendEvents([{ ...ids, kind: 'bounce.suppressed', data }]);
  }

  async #made(job: Job, wanted: Wanted): Promise<MessageToStore> {
    const { message, route } = job;
    const noticeId = this.#environment.newId();
    const { envelopeId } = message;
    const words = wanted.rules.words[wanted.action];
    const notice = buildNotice({
      action: wanted.action,
      form: wanted.rules.form,
      ...(words === undefined ? {} : { words }),
      noticeId,
      messageId: message.id,
      hostname: this.#hostname,
      to: message.sender,
      acceptedAtMs: message.acceptedAtMs,
      nowMs: this.#environment.clock.nowMs(),
      retryUntilMs: message.acceptedAtMs + route.retry.giveUpMs,
      ...(envelopeId === undefined ? {} : { envelopeId }),
      recipients: wanted.recipients,
      returned: await this.#returned(job, wanted.action),
    });
    return this.#toStore(job, wanted, { id: noticeId, ...notice });
  }

  /** RFC 3461 s4.3: RET is about failures. A content that cannot be read any more must not keep the sender from hearing. */
  async #returned(job: Job, action: NoticeAction): Promise<NoticeInput['returned']> {
    const { content, id, ret, sizeBytes, smtpUtf8 } = job.message;
    const whole = action === 'failed' && ret === 'FULL' && sizeBytes <= MAX_RETURNED_BYTES;
    const kind = whole ? 'message' : 'header';
    const maxBytes = whole ? MAX_RETURNED_BYTES : MAX_HEADER_BYTES;
    try {
      const bytes = content.kind === 'inline' ? content.bytes : await this.#environment.readHead(content, maxBytes);
      return { kind, bytes, smtpUtf8: smtpUtf8 === true };
    } catch (error) {
      this.#environment.warn(`message ${id} cannot be read for a notice about it`, error);
      return { kind: 'header', bytes: new Uint8Array(), smtpUtf8: false };
    }
  }

  #toStore(job: Job, wanted: Wanted, notice: Notice & { readonly id: string }): MessageToStore {
    const { action, routing } = wanted;
    const { id, sender } = job.message;
    const { address: to, route, headerChanges } = routing;
    const recipient = {
      id: this.#environment.newId(),
      address: to,
      route,
      ...(headerChanges === undefined ? {} : { headerChanges }),
    };
    const recipients = wanted.recipients.map(({ address }) => address);
    const ids = { id: this.#environment.newId(), transactionId: id, sender };
    const told = { noticeId: notice.id, to: sender, recipients };
    return {
      id: notice.id,
      sender: '',
      content: { kind: 'inline', bytes: notice.content },
      sizeBytes: notice.content.length,
      body8bit: notice.body8bit,
      ...(notice.smtpUtf8 ? { smtpUtf8: true as const } : {}),
      policyRevision: routing.policyRevision,
      recipients: [recipient],
      leased: false,
      events: [
        this.#acceptedEvent(sender, recipient, { ...wanted, ...notice }),
        action === 'failed'
          ? { ...ids, kind: 'bounce.queued', data: told }
          : { ...ids, kind: 'notice.queued', data: { action, ...told } },
      ],
    };
  }

  /** A notice is a transaction of its own: it appears in the audit like any other accepted message. */
  #acceptedEvent(
    to: string,
    recipient: { readonly id: string; readonly address: string },
    notice: Wanted & Notice & { readonly id: string },
  ): AuditEvent {
    const { content, routing } = notice;
    const reply = '250 2.0.0 Notice queued';
    return {
      id: this.#environment.newId(),
      kind: 'transaction.accepted',
      transactionId: notice.id,
      sender: '',
      recipient: recipient.address,
      data: {
        listener: 'internal',
        clientPort: 0,
        helo: this.#hostname,
        protocol: 'ESMTP',
        startedAtMs: this.#environment.clock.nowMs(),
        snapshot: routing.snapshot,
        client: 'none',
        facts: {},
        parameters: { sizeBytes: content.length },
        message: {
          sizeBytes: content.length,
          digest: this.#environment.sha256Hex(content),
          messageId: `<${notice.id}@${this.#hostname}>`,
          from: `MAILER-DAEMON@${this.#hostname}`,
          subject: notice.subject,
        },
        recipients: [
          {
            id: recipient.id,
            original: to,
            address: recipient.address,
            verdict: 'accept',
            by: routing.by,
            reply,
            route: routing.route,
            facts: routing.facts,
          },
        ],
        reply,
        by: routing.by,
      },
    };
  }
}

interface Wanted {
  readonly rules: NoticeRules;
  readonly action: NoticeAction;
  readonly recipients: readonly NoticedRecipient[];
  readonly routing: NoticeRouting;
}
