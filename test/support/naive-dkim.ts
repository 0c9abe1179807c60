/**
 * DKIM and ARC signatures written a second time, slowly and straight from RFC 6376 s3.4 and s3.7: whole messages as text, any
 * tag as a test wants it. Shares nothing with the code that is tested.
 */
import { createHash, createPublicKey, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';

export interface TestKey {
  readonly key: KeyObject;
  /** TXT record that publishes it. */
  readonly record: string;
}

export function rsaKey(bits = 2048): TestKey {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: bits });
  const der = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
  return { key: privateKey, record: `v=DKIM1; k=rsa; p=${der.toString('base64')}` };
}

export function ed25519Key(): TestKey {
  const { privateKey } = generateKeyPairSync('ed25519');
  const der = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
  return { key: privateKey, record: `v=DKIM1; k=ed25519; p=${der.subarray(-32).toString('base64')}` };
}

type Tags = Readonly<Record<string, string | undefined>>;

export interface NaiveSignature {
  readonly key: KeyObject;
  readonly name?: string;
  /** Of the tags in their order; `undefined` leaves one out. `bh` and `b` are made. */
  readonly tags: Tags;
}

/** The message with a signature on top of it. */
export function naivelySigned(message: string, { key, name = 'DKIM-Signature', tags }: NaiveSignature): string {
  const at = message.indexOf('\r\n\r\n');
  const fields = message.slice(0, at).split(/\r\n(?![ \t])/);
  const [headerForm = 'simple', bodyForm = 'simple'] = (tags['c'] ?? 'simple/simple').split('/');
  const bh = tags['bh'] ?? hashed(naiveBody(message.slice(at + 4), bodyForm));
  const all: Tags = { ...tags, bh };
  const written = Object.entries(all).flatMap(([tag, value]) => (value === undefined ? [] : [`${tag}=${value}`]));
  const own = `${name}: ${written.join('; ')}; b=`;
  const signed = chosen(fields, (tags['h'] ?? '').split(':')).map((field) => `${naiveField(field, headerForm)}\r\n`);
  return `${own}${naivelyOver(signed.join('') + naiveField(own, headerForm), key)}\r\n${message}`;
}

export function hashed(text: string): string {
  return createHash('sha256').update(text, 'latin1').digest('base64');
}

export function naivelyOver(text: string, key: KeyObject): string {
  const octets = Buffer.from(text, 'latin1');
  if (key.asymmetricKeyType === 'rsa') return sign('sha256', octets, key).toString('base64');
  return sign(null, createHash('sha256').update(octets).digest(), key).toString('base64');
}

/** From the bottom up, each field once. */
function chosen(fields: readonly string[], names: readonly string[]): readonly string[] {
  const left = [...fields];
  return names.flatMap((name) => {
    const index = left.findLastIndex((field) => new RegExp(`^${name.trim()}[ \t]*:`, 'i').test(field));
    return index < 0 ? [] : left.splice(index, 1);
  });
}

export function naiveField(field: string, form: string): string {
  if (form === 'simple') return field;
  const [, name = '', value = ''] = /^([^:]*):([^]*)$/.exec(field) ?? [];
  const oneLine = value.replaceAll('\r\n', '').replace(/[ \t]+/g, ' ');
  return `${name.toLowerCase().replace(/[ \t]+$/, '')}:${oneLine.replace(/^ | $/g, '')}`;
}

function naiveBody(body: string, form: string): string {
  const text = form === 'simple' ? body : body.replace(/[ \t]+/g, ' ').replace(/ (?=\r\n|$)/g, '');
  const bare = text.replace(/(?:\r\n)+$/, '');
  return bare === '' && form !== 'simple' ? '' : `${bare}\r\n`;
}
