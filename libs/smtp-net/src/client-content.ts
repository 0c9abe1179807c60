/**
 * A transaction on its way out: small content is stuffed beforehand, so that it can share a write with the envelope;
 * large content is streamed in blocks, so that memory stays bounded and a slow server is noticed.
 */
import { ContentEncoder } from '#smtp-core';
import type { ClientFault, ClientTransaction, RecipientParameters } from '#smtp-core';
import type { SendResult, SmtpMessage } from './client.js';

/** Above it content is written in blocks of this size with a deadline for each. */
const BLOCK_BYTES = 65_536;

export class OutgoingContent implements ClientTransaction {
  readonly sender: string;
  readonly recipients: readonly string[];
  readonly sizeBytes: number;
  readonly body8bit: boolean;
  readonly smtpUtf8?: boolean;
  readonly ret?: 'FULL' | 'HDRS';
  readonly envelopeId?: string;
  readonly recipientParameters?: readonly RecipientParameters[];
  readonly settle: (result: SendResult) => void;
  readonly #content: SmtpMessage['content'];
  /** Stuffed octets and the terminator, for content that is written at once. */
  prepared: readonly Uint8Array[] | undefined;

  constructor(message: SmtpMessage, settle: (result: SendResult) => void) {
    this.sender = message.sender;
    this.recipients = message.recipients;
    this.sizeBytes = message.sizeBytes;
    this.body8bit = message.body8bit;
    const { smtpUtf8, ret, envelopeId, recipientParameters } = message;
    if (smtpUtf8 !== undefined) this.smtpUtf8 = smtpUtf8;
    if (ret !== undefined) this.ret = ret;
    if (envelopeId !== undefined) this.envelopeId = envelopeId;
    if (recipientParameters !== undefined) this.recipientParameters = recipientParameters;
    this.settle = settle;
    this.#content = message.content;
  }

  /** Finds content that must not be sent before a single command is. */
  prepare(): ClientFault | undefined {
    if (!(this.#content instanceof Uint8Array) || this.#content.length > BLOCK_BYTES) return undefined;
    try {
      const encoder = new ContentEncoder();
      this.prepared = [encoder.encode(this.#content), encoder.end()];
      return undefined;
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      return { stage: 'content', reason: 'content', progress: 'none', enhanced: '4.3.0', message };
    }
  }

  /** Stuffed blocks, the terminator last. */
  async *blocks(): AsyncIterable<Uint8Array> {
    const encoder = new ContentEncoder();
    if (this.#content instanceof Uint8Array) {
      for (let at = 0; at < this.#content.length; at += BLOCK_BYTES) {
        yield encoder.encode(this.#content.subarray(at, at + BLOCK_BYTES));
      }
    } else {
      for await (const chunk of this.#content) yield encoder.encode(chunk);
    }
    yield encoder.end();
  }
}
