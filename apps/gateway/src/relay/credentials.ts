/** Names and passwords for next hops, out of the secret store: kept for a moment, so that a crowd of connections asks once. */
import type { RouteAuth } from '#delivery';
import type { SmtpCredentials } from '#smtp-net';

export type Revealed = { readonly ok: true; readonly value: string } | { readonly ok: false; readonly message: string };

export interface SecretSource {
  /** The value of a secret. May reject while the store is away. */
  reveal(name: string): Promise<Revealed>;
}

export type CredentialsResult =
  { readonly ok: true; readonly credentials: SmtpCredentials } | { readonly ok: false; readonly message: string };

/** A changed secret is in force with the next connection, as good as. */
const FRESH_MS = 1_000;

export class Credentials {
  readonly #secrets: SecretSource;
  readonly #asked = new Map<string, { readonly atMs: number; readonly answer: Promise<Revealed> }>();

  constructor(secrets: SecretSource) {
    this.#secrets = secrets;
  }

  /** Never rejects; the message names the secret, never its value. */
  async get({ secret, username, withoutVerifiedTls }: RouteAuth): Promise<CredentialsResult> {
    const revealed = await this.#reveal(secret);
    if (!revealed.ok) return { ok: false, message: `secret \`${secret}\`: ${revealed.message}` };
    const { value } = revealed;
    const colon = username === undefined ? value.indexOf(':') : -1;
    if (username === undefined && colon <= 0) {
      return { ok: false, message: `secret \`${secret}\` is not of the form \`username:password\`` };
    }
    const [name, password] =
      username === undefined ? [value.slice(0, colon), value.slice(colon + 1)] : [username, value];
    return { ok: true, credentials: { username: name, password, withoutVerifiedTls } };
  }

  async #reveal(name: string): Promise<Revealed> {
    const known = this.#asked.get(name);
    if (known !== undefined && Date.now() - known.atMs < FRESH_MS) return known.answer;
    const answer = this.#ask(name);
    this.#asked.set(name, { atMs: Date.now(), answer });
    return answer;
  }

  async #ask(name: string): Promise<Revealed> {
    try {
      return await this.#secrets.reveal(name);
    } catch {
      this.#asked.delete(name);
      return { ok: false, message: 'the secret store does not answer' };
    }
  }
}
