/** Keys that mail is signed with, out of the secret store: asked for once a moment, read once for each value. */
import { readSigningKey, type SigningKey } from '#mail-auth';
import type { Revealed, SecretSource } from './credentials.js';

export type KeyResult =
  { readonly ok: true; readonly key: SigningKey } | { readonly ok: false; readonly message: string };

/** A changed key is in force with the next message, as good as. */
const FRESH_MS = 1_000;

interface Known {
  readonly atMs: number;
  readonly result: Promise<KeyResult>;
}

export class SigningKeys {
  readonly #asked = new Map<string, Known>();
  readonly #read = new Map<string, { readonly value: string; readonly result: KeyResult }>();

  constructor(private readonly secrets: SecretSource) {}

  /** Never rejects; the message names the secret, never its value. */
  get(secret: string): Promise<KeyResult> {
    const known = this.#asked.get(secret);
    if (known !== undefined && Date.now() - known.atMs < FRESH_MS) return known.result;
    const result = this.#ask(secret);
    this.#asked.set(secret, { atMs: Date.now(), result });
    return result;
  }

  async #ask(secret: string): Promise<KeyResult> {
    let revealed: Revealed;
    try {
      revealed = await this.secrets.reveal(secret);
    } catch {
      this.#asked.delete(secret);
      return { ok: false, message: `secret \`${secret}\`: the secret store does not answer` };
    }
    return revealed.ok
      ? this.#keyOf(secret, revealed.value)
      : { ok: false, message: `secret \`${secret}\`: ${revealed.message}` };
  }

  /** Reading a key costs more than signing with it. */
  #keyOf(secret: string, value: string): KeyResult {
    const before = this.#read.get(secret);
    if (before?.value === value) return before.result;
    const read = readSigningKey(value);
    const result: KeyResult = read.ok ? read : { ok: false, message: `secret \`${secret}\` ${read.message}` };
    this.#read.set(secret, { value, result });
    return result;
  }
}
