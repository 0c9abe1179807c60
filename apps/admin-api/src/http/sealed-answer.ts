import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';

const CIPHER = 'aes-256-gcm';
const NONCE_OCTETS = 12;
const TAG_OCTETS = 16;

export interface KeptAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
}

/**
 * Answers that are kept may show a password or an API key, which must be stored nowhere. They are sealed with the key that
 * came with the request: only who sends it again can have the answer again.
 */
export function sealAnswer(answer: KeptAnswer, bearer: string, key: string): Buffer {
  const nonce = randomBytes(NONCE_OCTETS);
  const cipher = createCipheriv(CIPHER, sealingKey(bearer, key), nonce, { authTagLength: TAG_OCTETS });
  return Buffer.concat([nonce, cipher.update(JSON.stringify(answer), 'utf8'), cipher.final(), cipher.getAuthTag()]);
}

/** Throws for what was not sealed so. */
export function openAnswer(sealed: Buffer, bearer: string, key: string): KeptAnswer {
  const decipher = createDecipheriv(CIPHER, sealingKey(bearer, key), sealed.subarray(0, NONCE_OCTETS), {
    authTagLength: TAG_OCTETS,
  });
  decipher.setAuthTag(sealed.subarray(-TAG_OCTETS));
  const text = Buffer.concat([decipher.update(sealed.subarray(NONCE_OCTETS, -TAG_OCTETS)), decipher.final()]);
  return JSON.parse(text.toString('utf8')) as KeptAnswer;
}

function sealingKey(bearer: string, key: string): Buffer {
  return Buffer.from(hkdfSync('sha256', bearer, key, 'postern idempotent answer', 32));
}
