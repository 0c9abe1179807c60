/**
 * A transaction on its way out: small content is stuffed beforehand, so that it can share a write with the envelope;
 * large content is streamed in blocks, so that memory stays bounded and a slow server is noticed. As a chunk (RFC 3030)
 * it goes as it is, but is examined all the same: the next hop may hand it on by DATA.
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
  readonly exactBytes: number;
  readonly body8bit: boolean;
  readonly smtpUtf8?: boolean;
  readonly ret?: 'FULL' | 'HDRS';
  readonly envelopeId?: string;
  readonly recipientParameters?: readonly RecipientParameters[];
  readonly settle: (result: SendResult) => void;
  readonly #content: SmtpMessage['content'];
  #stuffed: readonly Uint8Array[] | undefined;

  constructor(message: SmtpMessage, settle: (result: SendResult) => void) {
    this.sender = message.sender;
    this.recipients = message.recipients;
    this.sizeBytes = message.sizeBytes;
    this.exactBytes = message.content instanceof Uint8Array ? message.content.length : message.sizeBytes;
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
      this.#stuffed = [encoder.encode(this.#content), encoder.end()];
      return undefined;
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      return { stage: 'content', reason: 'content', progress: 'none', enhanced: '4.3.0', message };
    }
  }

  /** For content that is written at once: its octets as a chunk, or stuffed and with the terminator. */
  prepared(chunked: boolean): readonly Uint8Array[] | undefined {
    if (this.#stuffed === undefined || !chunked) return this.#stuffed;
    return this.#content instanceof Uint8Array ? [this.#content] : undefined;
  }

  /**
   * Stuffed blocks, the terminator last; or the octets as they are. INVARIANT (whole or nothing): a chunk that is not as
   * long as was announced throws before its last octet, so that the server has no message.
   */
  async *blocks(chunked: boolean): AsyncIterable<Uint8Array> {
    const encoder = new ContentEncoder();
    let left = this.exactBytes;
    for await (const block of this.#plainBlocks()) {
      const stuffed = encoder.encode(block);
      left -= block.length;
      if (chunked && left < 0) throw new Error('message content is longer than its size');
      // The last block is held until it is known that nothing follows and that the line has ended.
      if (chunked && left === 0) encoder.end();
      yield chunked ? block : stuffed;
    }
    if (!chunked) yield encoder.end();
    else if (left > 0) throw new Error('message content is shorter than its size');
  }

  async *#plainBlocks(): AsyncIterable<Uint8Array> {
    if (!(this.#content instanceof Uint8Array)) {
      yield* this.#content;
      return;
    }
    for (let at = 0; at < this.#content.length; at += BLOCK_BYTES) yield this.#content.subarray(at, at + BLOCK_BYTES);
  }
}
