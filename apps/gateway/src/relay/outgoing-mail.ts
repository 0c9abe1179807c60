/**
 * Mail as it leaves: the changes of the rules are made, then it is signed, then sealed; so a signature covers what goes out.
 * Made before the mail is split by destination: once for all recipients of a claim, however many next hops they have.
 *
 * INVARIANT (never silently unsigned): mail that is to be signed leaves signed, or waits and says why, or its attempts say
 * that its author is of another domain. The same holds for seals.
 */
import { createReadStream } from 'node:fs';
import type { HeaderChange, QueuedMessage, SealChange, SignatureChange } from '#delivery';
import { arcSeal, BodyHash, dkimSignature, fieldBody, readRawHeader } from '#mail-auth';
import type { ContentToSign, RawField, Signer } from '#mail-auth';
import { readMailboxes } from '#mime';
import { parseAddress } from '#policy';
import { editedHeader, withHeader } from './header-changes.js';
import { signatureName } from './outgoing-changes.js';
import type { SigningKeys } from './signing-keys.js';

const READ_BYTES = 65_536;
const MAX_AUTHORS = 100;

/** Ours to mend: the mail waits. */
class NotReady extends Error {}

/** What goes on top of the header, and what is recorded about it. */
interface Addition {
  readonly text: string;
  readonly told: Pick<QueuedMessage, 'signed' | 'unsigned' | 'sealed' | 'unsealed'>;
}

const NOTHING: Addition = { text: '', told: {} };

export class OutgoingMail {
  constructor(private readonly keys: SigningKeys) {}

  /** Rejects when the content cannot be read. */
  async prepared(message: QueuedMessage): Promise<QueuedMessage> {
    const { headerChanges: changes } = message;
    if (changes === undefined) return message;
    const { head, fromByte, emptyLineBytes } = await editedHeader(message, changes);
    const signatures = changes.filter(isSignature);
    const seal = changes.find(isSeal);
    if (signatures.length === 0 && seal === undefined) return withHeader(message, head, fromByte);
    try {
      if (emptyLineBytes === undefined) throw new NotReady('the header is too large to be signed');
      const content = new SignedContent(message, head, fromByte + emptyLineBytes);
      const signed = signatures.length === 0 ? NOTHING : await this.#sign(content, signatures);
      const sealed = seal === undefined ? NOTHING : await this.#seal(content.with(signed.text), seal);
      const top = Buffer.from(sealed.text + signed.text, 'latin1');
      return { ...withHeader(message, Buffer.concat([top, head]), fromByte), ...signed.told, ...sealed.told };
    } catch (error) {
      if (!(error instanceof NotReady)) throw error;
      return { ...message, unready: error.message };
    }
  }

  async #sign(content: SignedContent, signatures: readonly SignatureChange[]): Promise<Addition> {
    const authors = authorDomains(content.fields);
    const mine = signatures.filter(({ domain }) => speaksFor(domain, authors));
    if (mine.length === 0) return { text: '', told: { unsigned: notSigned(signatures, authors) } };
    const toSign = await content.toSign();
    let text = '';
    for (const signature of mine) {
      const signer = await this.#signer(signature, 'signed');
      text += await madeWith(signer, 'signed', () => dkimSignature(toSign, signer));
    }
    return { text, told: { signed: mine.map(signatureName) } };
  }

  async #seal(content: SignedContent, seal: SealChange): Promise<Addition> {
    const name = signatureName(seal);
    const { chain, results } = seal;
    if (chain === 'unknown') {
      return {
        text: '',
        told: { unsealed: `not sealed as ${name}: the chain that it came with could not be checked` },
      };
    }
    const signer = await this.#signer(seal, 'sealed');
    const toSign = await content.toSign();
    const sealing = { signer, chainValidation: chain, authenticationResults: results };
    const sealed = await madeWith(signer, 'sealed', () => arcSeal(toSign, sealing));
    if (!sealed.ok) return { text: '', told: { unsealed: `not sealed as ${name}: ${sealed.why}` } };
    return { text: sealed.text, told: { sealed: name } };
  }

  async #signer({ domain, selector, secret }: SignatureChange | SealChange, what: string): Promise<Signer> {
    const found = await this.keys.get(secret);
    if (!found.ok) throw new NotReady(`not ${what} as ${signatureName({ domain, selector })}: ${found.message}`);
    return { domain, selector, key: found.key };
  }
}

/** A key may be well formed and not able to sign all the same. */
async function madeWith<T>(signer: Signer, what: string, make: () => Promise<T>): Promise<T> {
  try {
    return await make();
  } catch {
    throw new NotReady(`not ${what} as ${signatureName(signer)}: its key can not sign`);
  }
}

/** The body is read once for all signatures, and only when there is one. */
class SignedContent {
  readonly fields: readonly RawField[];
  #bodyHash: Promise<Buffer> | undefined;

  constructor(
    private readonly message: QueuedMessage,
    private readonly head: Uint8Array,
    private readonly bodyFrom: number,
  ) {
    this.fields = readRawHeader(head).fields;
  }

  /** The same content with more fields on top. */
  with(text: string): SignedContent {
    if (text === '') return this;
    const head = Buffer.concat([Buffer.from(text, 'latin1'), this.head]);
    const content = new SignedContent(this.message, head, this.bodyFrom);
    content.#bodyHash = this.#bodyHash;
    return content;
  }

  async toSign(): Promise<ContentToSign> {
    this.#bodyHash ??= bodyHashOf(this.message, this.bodyFrom);
    return { fields: this.fields, bodyHash: await this.#bodyHash, atMs: this.message.acceptedAtMs };
  }
}

function isSignature(change: HeaderChange): change is SignatureChange {
  return change.op === 'sign';
}

function isSeal(change: HeaderChange): change is SealChange {
  return change.op === 'seal';
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
  const names = signatures.map(signatureName).join(', ');
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
