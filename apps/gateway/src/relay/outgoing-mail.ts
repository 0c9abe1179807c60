/**
 * Mail as it leaves: the changes of the rules are made, then it is signed; so a signature covers what goes out. Made before
 * the mail is split by destination: once for all recipients of a claim, however many next hops they have.
 *
 * INVARIANT (never silently unsigned): mail that is to be signed leaves signed, or waits and says why, or its attempts say
 * that its author is of another domain.
 */
import { createReadStream } from 'node:fs';
import type { HeaderChange, QueuedMessage, SignatureChange } from '#delivery';
import { BodyHash, dkimSignature, fieldBody, readRawHeader, type ContentToSign, type RawField } from '#mail-auth';
import { readMailboxes } from '#mime';
import { parseAddress } from '#policy';
import { editedHeader, withHeader } from './header-changes.js';
import type { SigningKeys } from './signing-keys.js';

const READ_BYTES = 65_536;
const MAX_AUTHORS = 100;

export class OutgoingMail {
  constructor(private readonly keys: SigningKeys) {}

  /** Rejects when the content cannot be read. */
  async prepared(message: QueuedMessage): Promise<QueuedMessage> {
    const { headerChanges: changes } = message;
    if (changes === undefined) return message;
    const { head, fromByte, emptyLineBytes } = await editedHeader(message, changes);
    const signatures = changes.filter(isSignature);
    if (signatures.length === 0) return withHeader(message, head, fromByte);
    if (emptyLineBytes === undefined) return waiting(message, 'the header is too large to be signed');
    const { fields } = readRawHeader(head);
    const authors = authorDomains(fields);
    const mine = signatures.filter(({ domain }) => speaksFor(domain, authors));
    if (mine.length === 0) {
      return { ...withHeader(message, head, fromByte), unsigned: notSigned(signatures, authors) };
    }
    const bodyHash = await bodyHashOf(message, fromByte + emptyLineBytes);
    const signed = await this.#sign({ fields, bodyHash, atMs: message.acceptedAtMs }, mine);
    if (!signed.ok) return waiting(message, signed.message);
    const whole = Buffer.concat([Buffer.from(signed.text, 'latin1'), head]);
    return { ...withHeader(message, whole, fromByte), signed: mine.map(nameOf) };
  }

  async #sign(
    content: ContentToSign,
    signatures: readonly SignatureChange[],
  ): Promise<{ readonly ok: true; readonly text: string } | { readonly ok: false; readonly message: string }> {
    const made: string[] = [];
    for (const signature of signatures) {
      const found = await this.keys.get(signature.secret);
      if (!found.ok) return { ok: false, message: `not signed as ${nameOf(signature)}: ${found.message}` };
      try {
        made.push(await dkimSignature(content, { ...signature, key: found.key }));
      } catch {
        return { ok: false, message: `not signed as ${nameOf(signature)}: its key can not sign` };
      }
    }
    return { ok: true, text: made.join('') };
  }
}

function isSignature(change: HeaderChange): change is SignatureChange {
  return change.op === 'sign';
}

/** `example.com/s1`: as policies name it. */
function nameOf({ domain, selector }: SignatureChange): string {
  return `${domain}/${selector}`;
}

/** Our side is not ready: the operator's to mend. */
function waiting(message: QueuedMessage, why: string): QueuedMessage {
  return { ...message, unready: why };
}

/** Domains of From; undefined where it is not one field that every program reads the same. */
function authorDomains(fields: readonly RawField[]): readonly string[] | undefined {
  const [only, ...others] = fields.filter(({ name }) => name === 'from');
  if (only === undefined || others.length > 0) return undefined;
  const mailboxes = readMailboxes(Buffer.from(fieldBody(only), 'latin1').toString('utf8'), MAX_AUTHORS);
  if (mailboxes === undefined || mailboxes.malformed) return undefined;
  const parsed = mailboxes.addresses.map((address) => parseAddress(address));
  return parsed.every((address) => address.ok) ? parsed.map((address) => address.domain) : undefined;
}

/** A signature that does not stand for the author proves nothing of what people see; it would be lent to strangers. */
function speaksFor(domain: string, authors: readonly string[] | undefined): boolean {
  return (
    authors !== undefined &&
    authors.length > 0 &&
    authors.every((author) => author === domain || author.endsWith(`.${domain}`))
  );
}

function notSigned(signatures: readonly SignatureChange[], authors: readonly string[] | undefined): string {
  const names = signatures.map(nameOf).join(', ');
  if (authors === undefined) return `not signed as ${names}: From is not one field with readable addresses`;
  return `not signed as ${names}: From is of ${[...new Set(authors)].slice(0, 3).join(', ')}`;
}

async function bodyHashOf({ content }: QueuedMessage, fromByte: number): Promise<Buffer> {
  const hash = new BodyHash();
  if (content.kind === 'inline') hash.update(content.bytes.subarray(fromByte));
  else {
    const stream = createReadStream(content.file, { highWaterMark: READ_BYTES, start: fromByte });
    for await (const chunk of stream) hash.update(chunk as Uint8Array);
  }
  return hash.digest();
}
