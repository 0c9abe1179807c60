/**
 * DKIM and ARC of one message whose content streams by. The header is kept (up to its limit), the body is only hashed, once
 * for each form that a signature wants: memory is bounded however large the message is.
 *
 *   const check = new ContentCheck({ nowMs });
 *   for (const chunk of content) check.write(chunk);
 *   const { dkim, arc } = await check.end(keys);
 */
import { verifyArc } from './arc.js';
import { readArcSets } from './arc-sets.js';
import { BodyHash, type BodyForm } from './canonical.js';
import { readSignatures, verifySignatures, type ReadSignatures } from './dkim.js';
import { readSignature } from './dkim-signature.js';
import type { TextNames } from './dns.js';
import { readRawHeader, type RawField } from './header-fields.js';
import type { ArcCheck, DkimCheck } from './results.js';
import { SignedFields } from './signed-octets.js';

export interface ContentCheckOptions {
  readonly nowMs: number;
  readonly maxHeaderBytes?: number;
}

export type ContentResults =
  | { readonly ok: true; readonly dkim: readonly DkimCheck[]; readonly arc: ArcCheck }
  /** Not looked at: what it says is unknown. */
  | { readonly ok: false; readonly why: string };

const MAX_HEADER_BYTES = 262_144;
const MAX_FIELDS = 1000;
const HEADER_END = Buffer.from('\r\n\r\n');

export class ContentCheck {
  readonly #nowMs: number;
  readonly #maxHeaderBytes: number;
  #head: Buffer | undefined = Buffer.alloc(0);
  #fields: readonly RawField[] = [];
  #signatures: ReadSignatures = { signatures: [], passedOver: 0 };
  readonly #hashes = new Map<BodyForm, BodyHash>();
  #fault: string | undefined;

  constructor({ nowMs, maxHeaderBytes = MAX_HEADER_BYTES }: ContentCheckOptions) {
    this.#nowMs = nowMs;
    this.#maxHeaderBytes = maxHeaderBytes;
  }

  /** `chunk` may be used again by its owner afterwards. */
  write(chunk: Uint8Array): void {
    if (this.#fault !== undefined) return;
    if (this.#head === undefined) this.#hash(chunk);
    else this.#collect(this.#head, chunk);
  }

  async end(keys: TextNames): Promise<ContentResults> {
    if (this.#head !== undefined) this.#readHeader(this.#head);
    if (this.#fault !== undefined) return { ok: false, why: this.#fault };
    const digests = new Map([...this.#hashes].map(([form, hash]) => [form, hash.digest()]));
    const message = {
      fields: new SignedFields(this.#fields),
      bodyHash: (form: BodyForm): Buffer => digests.get(form) ?? Buffer.alloc(0),
    };
    const [dkim, arc] = await Promise.all([
      verifySignatures(this.#signatures, message, keys),
      verifyArc(this.#fields, this.#nowMs, { message, keys }),
    ]);
    return { ok: true, dkim, arc };
  }

  #collect(head: Buffer, chunk: Uint8Array): void {
    // The end may stand across two chunks.
    const from = Math.max(0, head.length - HEADER_END.length + 1);
    const all = head.length === 0 ? Buffer.from(chunk) : Buffer.concat([head, chunk]);
    const isBodyOnly = all.length >= 2 && all[0] === 13 && all[1] === 10;
    const end = isBodyOnly ? 2 : all.indexOf(HEADER_END, from) + HEADER_END.length;
    if (end < HEADER_END.length && !isBodyOnly) {
      this.#head = all;
      if (all.length > this.#maxHeaderBytes) this.#refuse();
      return;
    }
    this.#readHeader(all.subarray(0, end));
    this.#hash(all.subarray(end));
  }

  #readHeader(header: Buffer): void {
    this.#head = undefined;
    if (header.length > this.#maxHeaderBytes) {
      this.#refuse();
      return;
    }
    const { fields } = readRawHeader(header);
    if (fields.length > MAX_FIELDS) {
      this.#refuse();
      return;
    }
    this.#fields = fields;
    this.#signatures = readSignatures(fields, this.#nowMs);
    for (const form of bodyForms(this.#signatures, fields, this.#nowMs)) this.#hashes.set(form, new BodyHash(form));
  }

  #refuse(): void {
    this.#head = undefined;
    this.#fault = `a header of more than ${String(this.#maxHeaderBytes)} octets or ${String(MAX_FIELDS)} fields`;
  }

  #hash(chunk: Uint8Array): void {
    for (const hash of this.#hashes.values()) hash.update(chunk);
  }
}

/** Forms of the body that some signature was made over. */
function bodyForms({ signatures }: ReadSignatures, fields: readonly RawField[], nowMs: number): ReadonlySet<BodyForm> {
  const forms = new Set(signatures.flatMap((read) => (read.ok ? [read.signature.bodyForm] : [])));
  const arc = readArcSets(fields);
  const newest = arc.ok ? arc.sets.at(-1) : undefined;
  if (newest !== undefined) {
    const read = readSignature(newest.message, { nowMs, arc: true });
    if (read.ok) forms.add(read.signature.bodyForm);
  }
  return forms;
}
