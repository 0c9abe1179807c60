/**
 * DKIM signatures of our own: relaxed/relaxed, no `l=`, RSA or Ed25519. RFC 6376 s3.5, s3.7, s5; RFC 8463.
 *
 * Deterministic: the same message, key and time give the same octets, so a retry sends what the first attempt sent.
 * Signing runs off the event loop.
 */
import { createHash, sign } from 'node:crypto';
import { relaxedField } from './canonical.js';
import { rawField, type RawField } from './header-fields.js';
import type { SigningAlgorithm, SigningKey } from './signing-key.js';

export interface Signer {
  /** `d=`, lower-case A-labels. */
  readonly domain: string;
  /** `s=`. */
  readonly selector: string;
  readonly key: SigningKey;
}

/** Signed in any case, one time more often than they are there: nobody can put another one in front. RFC 6376 s8.15. */
const ALWAYS = ['from', 'to', 'cc', 'subject', 'reply-to'];
/** The same, where they are there: what is absent from plain mail may be added underway. */
const WHEN_PRESENT = ['date', 'message-id', 'sender', 'mime-version', 'content-type', 'content-transfer-encoding'];
/** Signed as often as they are there. RFC 6376 s5.4.1; mailing lists and forwarders add more of them. */
const AS_THEY_ARE = [
  'in-reply-to',
  'references',
  'resent-date',
  'resent-from',
  'resent-sender',
  'resent-to',
  'resent-cc',
  'resent-message-id',
  'list-id',
  'list-help',
  'list-unsubscribe',
  'list-unsubscribe-post',
  'list-subscribe',
  'list-post',
  'list-owner',
  'list-archive',
];

/** Names for `h=`, in its order. */
export function fieldsToSign(fields: readonly RawField[]): readonly string[] {
  const count = (name: string): number => fields.reduce((sum, field) => sum + (field.name === name ? 1 : 0), 0);
  const times = (name: string, more: number): readonly string[] => Array<string>(count(name) + more).fill(name);
  return [
    ...ALWAYS.flatMap((name) => times(name, 1)),
    ...WHEN_PRESENT.flatMap((name) => (count(name) === 0 ? [] : times(name, 1))),
    ...AS_THEY_ARE.flatMap((name) => times(name, 0)),
  ];
}

/**
 * What a signature covers of the header: for each name of `h=` the lowest field that was not taken yet, nothing where there
 * is none. RFC 6376 s5.4.2. Each with its CRLF.
 */
export function signedHeader(fields: readonly RawField[], names: readonly string[]): string {
  const left = new Map<string, RawField[]>();
  for (const field of fields) {
    const same = left.get(field.name);
    if (same === undefined) left.set(field.name, [field]);
    else same.push(field);
  }
  let text = '';
  for (const name of names) {
    const field = left.get(name.toLowerCase())?.pop();
    if (field !== undefined) text += `${relaxedField(field)}\r\n`;
  }
  return text;
}

export interface ContentToSign {
  /** The header as it leaves. */
  readonly fields: readonly RawField[];
  /** SHA-256 of the relaxed body. */
  readonly bodyHash: Buffer;
  /** `t=`. */
  readonly atMs: number;
}

/** The field `DKIM-Signature`, folded, with its final CRLF. */
export async function dkimSignature(content: ContentToSign, signer: Signer): Promise<string> {
  const names = fieldsToSign(content.fields);
  const tags = [
    'v=1',
    `a=${signer.key.algorithm}`,
    'c=relaxed/relaxed',
    `d=${signer.domain}`,
    `s=${signer.selector}`,
    `t=${secondsOf(content.atMs)}`,
    ...bodyAndNames(content.bodyHash, names),
  ];
  return signedField({ name: 'DKIM-Signature', tags }, signedHeader(content.fields, names), signer.key);
}

export function bodyAndNames(bodyHash: Buffer, names: readonly string[]): readonly string[] {
  return [`bh=${bodyHash.toString('base64')}`, `h=${names.join(':')}`];
}

export function secondsOf(ms: number): string {
  return String(Math.floor(ms / 1000));
}

export interface UnsignedField {
  readonly name: string;
  /** All but `b=`, which is the last one. */
  readonly tags: readonly string[];
}

/** `covered` and the field itself without the value of `b=` are signed. RFC 6376 s3.7. */
export async function signedField(field: UnsignedField, covered: string, key: SigningKey): Promise<string> {
  const unsigned = foldTags(field);
  const signature = await signOctets(Buffer.from(covered + relaxedField(rawField(unsigned)), 'latin1'), key);
  return `${unsigned}${foldBase64(signature.toString('base64'))}\r\n`;
}

const LINE_CHARS = 76;

/** `Name: v=1; …;<CRLF><TAB>b=`: lines break between tags, and in `h=` between names. */
function foldTags({ name, tags }: UnsignedField): string {
  const pieces = tags.flatMap((tag) => {
    const parts = tag.startsWith('h=') ? tag.split(/(?<=:)/) : [tag];
    return parts.map((part, index) => ({ text: index === parts.length - 1 ? `${part};` : part, glued: index > 0 }));
  });
  const lines: string[] = [];
  let line = `${name}:`;
  for (const { text, glued } of pieces) {
    const space = glued ? '' : ' ';
    if (line.length + space.length + text.length > LINE_CHARS) {
      lines.push(line);
      line = `\t${text}`;
    } else line += space + text;
  }
  return `${[...lines, line].join('\r\n')}\r\n\tb=`;
}

function foldBase64(text: string): string {
  return (text.match(/.{1,72}/g) ?? []).join('\r\n\t');
}

function signOctets(octets: Buffer, { algorithm, key }: SigningKey): Promise<Buffer> {
  const { hash, data } = inputOf(octets, algorithm);
  return new Promise((resolve, reject) => {
    // With a callback it runs in the thread pool: RSA costs a quarter of a millisecond and more.
    sign(hash, data, key, (error, signature) => {
      if (error === null) resolve(signature);
      else reject(error);
    });
  });
}

/** RFC 8463 s3: Ed25519 signs the SHA-256 of what RSA hashes itself. */
function inputOf(octets: Buffer, algorithm: SigningAlgorithm): { readonly hash: string | null; readonly data: Buffer } {
  if (algorithm === 'rsa-sha256') return { hash: 'sha256', data: octets };
  return { hash: null, data: createHash('sha256').update(octets).digest() };
}
