/**
 * The framing of AUTH: mechanism, initial response, one line of base64 after each 334, `*` to give up. RFC 4954 s4.
 *
 * What the octets mean to a mechanism is not known here; `sasl.ts` and whoever answers `auth` know it.
 */
import { decodeBase64 } from './base64.js';
import { LineReader } from './line-reader.js';
import type { ReplyKey } from './reply-catalogue.js';
import type { Reply } from './reply.js';

/** `undefined` response: none was given. `fault`: the exchange is over, with this reply. */
export type SaslResponse =
  { readonly ok: true; readonly response: Buffer | undefined } | { readonly ok: false; readonly fault: ReplyKey };

const NO_OCTETS = Buffer.alloc(0);

/** What stood behind the mechanism: nothing, `=` for no octets at all, or base64. */
export function readInitialResponse(text: string | undefined): SaslResponse {
  if (text === undefined) return { ok: true, response: undefined };
  return text === '=' ? { ok: true, response: NO_OCTETS } : readBase64(text);
}

/** 334 and the challenge; never broken into lines. */
export function challengeReply(challenge: Buffer): Reply {
  return { code: 334, lines: [challenge.toString('base64')] };
}

function readBase64(text: string): SaslResponse {
  const response = decodeBase64(text);
  return response === undefined ? { ok: false, fault: 'bad-base64' } : { ok: true, response };
}

/** One exchange, from AUTH to its final reply. */
export class SaslDialog {
  readonly mechanism: string;
  readonly #lines: LineReader;

  constructor(mechanism: string, maxLineBytes: number) {
    this.mechanism = mechanism;
    this.#lines = new LineReader(maxLineBytes);
  }

  /** Behind the last octet read by `read`. */
  get next(): number {
    return this.#lines.next;
  }

  get partial(): boolean {
    return this.#lines.partial;
  }

  /** The next response, or undefined when its line goes on. */
  read(bytes: Buffer, from: number): SaslResponse | undefined {
    const event = this.#lines.read(bytes, from);
    if (event === undefined) return undefined;
    if (event.kind === 'bad-line-end') return { ok: false, fault: 'bad-line-end' };
    if (event.kind === 'too-long') return { ok: false, fault: 'auth-line-too-long' };
    return event.text === '*' ? { ok: false, fault: 'auth-cancelled' } : readBase64(event.text);
  }
}
