/**
 * The structure of a message as it streams by: header fields of the message, and the attachments of all its parts.
 * RFC 2045, RFC 2046. Bounded in depth, parts, header and parameters (limits.ts), no recursion on input; octets are
 * looked at once and not kept.
 *
 * In: content in pieces cut anywhere. Out: `report()` after the end. What exceeds a limit, or could be read as another
 * structure by another program, is a fault: attachments are then unknown, never "none".
 *
 * Messages inside a message are looked into, also where they are encoded against the standard. Files in text
 * (uuencode) are found by their first line. Known gaps: archives and TNEF are not opened.
 */
import { isBodyText, isComposite, readPartHeader, type Attachment, type PartHeader } from './attachment.js';
import { readFields, type HeaderBlock } from './fields.js';
import { MIME_LIMITS, type MimeFault, type MimeLimits } from './limits.js';
import { OctetBuffer, joined } from './octets.js';
import { PartSize } from './part-size.js';
import { Base64Decoder, QuotedPrintableDecoder } from './transfer-encoding.js';

export interface ScanReport {
  /** Undefined: the header exceeds the limits. */
  readonly header: HeaderBlock | undefined;
  readonly attachments: readonly Attachment[] | { readonly fault: MimeFault };
}

interface Frame {
  readonly boundary: Uint8Array;
  readonly defaultType: string;
  /** Of a message inside a message: its size is known when it ends. */
  readonly message?: { readonly header: PartHeader; readonly startedAt: number };
}

/** Shared by a scanner and those it opens for encoded messages. */
interface Tally {
  parts: number;
  fault: MimeFault | undefined;
  readonly attachments: Attachment[];
}

interface Leaf {
  readonly header: PartHeader;
  readonly size: PartSize;
}

const LF = 10;
const CR = 13;
const DASH = 45;
const LETTER_B = 98;
/** More of a line than any delimiter needs. */
const MAX_HELD = 1024;
const UUENCODED = /^begin [0-7]{3,4} (\S.*?)\s*$/;

export class StructureScanner {
  private state: 'header' | 'body' | 'skip' | 'stopped' = 'header';
  private readonly headerOctets = new OctetBuffer();
  private fieldCount = 0;
  private fieldBytes = 0;
  /** Of the header's line at hand, as far as it has come. */
  private lineLength = 0;
  private lineBegin: number | undefined;
  private held: Uint8Array | undefined;
  private isMidLine = false;
  private frames: Frame[] = [];
  private leaf: Leaf | undefined;
  private inner:
    { readonly decoder: Base64Decoder | QuotedPrintableDecoder; readonly scanner: StructureScanner } | undefined;
  private header: HeaderBlock | undefined;
  private hasHeader = false;
  private defaultType = 'text/plain';
  /** Seen so far, the line at hand included. */
  private octets = 0;

  /** `structure: false`: only the header is read. */
  constructor(
    private readonly needs: { readonly structure: boolean },
    private readonly limits: MimeLimits = MIME_LIMITS,
    private readonly tally: Tally = { parts: 0, fault: undefined, attachments: [] },
    private readonly depth = 0,
  ) {}

  write(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length && this.state !== 'stopped') {
      const lf = chunk.indexOf(LF, at);
      const end = lf === -1 ? chunk.length : lf + 1;
      this.octets += end - at;
      this.piece(chunk, at, end, lf !== -1);
      at = end;
    }
  }

  report(): ScanReport {
    if (this.state === 'header') this.endHeader();
    if (this.held !== undefined) this.wholeLine(this.held, 0, this.held.length, false);
    this.held = undefined;
    this.endPart();
    this.closeFrames(0, this.octets);
    const { fault, attachments } = this.tally;
    return { header: this.header, attachments: fault === undefined ? attachments : { fault } };
  }

  /** Part of a line, or the rest of one. */
  private piece(chunk: Uint8Array, start: number, end: number, isComplete: boolean): void {
    if (this.state === 'header') {
      this.headerPiece(chunk, start, end, isComplete);
    } else if (this.isMidLine) {
      this.isMidLine = !isComplete;
      this.bodyOctets(chunk, start, end, isComplete);
    } else if (this.held !== undefined || !isComplete) {
      this.hold(chunk.slice(start, end), isComplete);
    } else {
      this.wholeLine(chunk, start, end, true);
    }
  }

  private hold(piece: Uint8Array, isComplete: boolean): void {
    const line = this.held === undefined ? piece : joined([this.held, piece]);
    this.held = undefined;
    if (!isComplete && line.length < MAX_HELD) {
      this.held = line;
      return;
    }
    this.isMidLine = !isComplete;
    this.wholeLine(line, 0, line.length, isComplete);
  }

  private headerPiece(chunk: Uint8Array, start: number, end: number, isComplete: boolean): void {
    if (this.lineLength === 0) this.lineBegin = chunk[start];
    const before = this.lineLength;
    this.lineLength += end - start;
    if (isComplete && (this.lineLength === 1 || (this.lineLength === 2 && this.lineBegin === CR))) {
      this.endHeader(before);
      return;
    }
    if (isComplete) this.lineLength = 0;
    if (before === 0 && !isSpace(chunk[start])) this.beginField();
    this.fieldBytes += end - start;
    if (this.isHeaderTooLarge(end - start)) this.fail('mime.limit');
    else this.headerOctets.add(chunk, start, end);
  }

  private beginField(): void {
    this.fieldCount += 1;
    this.fieldBytes = 0;
  }

  /** Known while it comes: a flood of fields is not kept to its end. */
  private isHeaderTooLarge(moreBytes: number): boolean {
    const { headerBytes, fieldBytes, fields } = this.limits;
    const isTooLong = this.headerOctets.length + moreBytes > headerBytes;
    return isTooLong || this.fieldBytes > fieldBytes || this.fieldCount > fields;
  }

  private fail(fault: MimeFault): void {
    this.tally.fault ??= fault;
    this.state = 'stopped';
    this.headerOctets.clear();
    this.leaf = undefined;
    this.inner = undefined;
  }

  /** `emptyLineBytes`: what of the line that ends the header stands in it already. */
  private endHeader(emptyLineBytes = 0): void {
    const { octets } = this.headerOctets;
    const block = readFields(octets.subarray(0, octets.length - emptyLineBytes), this.limits);
    this.headerOctets.clear();
    this.fieldCount = 0;
    this.fieldBytes = 0;
    this.lineLength = 0;
    if (!this.hasHeader) {
      this.hasHeader = true;
      this.header = block;
      if (!this.needs.structure) {
        this.state = 'stopped';
        return;
      }
    }
    if (block === undefined) this.fail('mime.limit');
    else this.beginPart(block);
  }

  private beginPart(block: HeaderBlock): void {
    this.tally.parts += 1;
    const header = readPartHeader(block.fields, this.limits, this.defaultType);
    this.defaultType = 'text/plain';
    if ('fault' in header) this.fail(header.fault);
    else if (this.tally.parts > this.limits.parts) this.fail('mime.limit');
    else if (isComposite(header.type) && !isDelimiterless(header)) this.descend(header);
    else this.beginLeaf(header);
  }

  private beginLeaf(header: PartHeader): void {
    this.state = 'body';
    this.leaf = { header, size: new PartSize(header.encoding) };
  }

  private descend(header: PartHeader): void {
    if (this.depth + this.frames.length >= this.limits.depth) {
      this.fail('mime.limit');
      return;
    }
    const isMultipart = header.type.startsWith('multipart/');
    if (header.encoding === 'base64' || header.encoding === 'quoted-printable') {
      this.openInner(header);
      return;
    }
    if (isMultipart) {
      this.frames.push(frameOf(header));
      this.state = 'skip';
    } else {
      this.frames.push({ ...NO_BOUNDARY, message: { header, startedAt: this.octets } });
      this.state = 'header';
    }
  }

  /** Encoded structure: what is decoded is scanned by a scanner of its own. */
  private openInner(header: PartHeader): void {
    this.beginLeaf(header);
    const decoder = header.encoding === 'base64' ? new Base64Decoder() : new QuotedPrintableDecoder();
    const scanner = new StructureScanner(this.needs, this.limits, this.tally, this.depth + this.frames.length + 1);
    scanner.hasHeader = true;
    if (header.type.startsWith('multipart/')) {
      scanner.frames.push(frameOf(header));
      scanner.state = 'skip';
    }
    this.inner = { decoder, scanner };
  }

  /** A line whose beginning is here; `isComplete`: its end too. */
  private wholeLine(chunk: Uint8Array, start: number, end: number, isComplete: boolean): void {
    if (chunk[start] === DASH && chunk[start + 1] === DASH && this.takesDelimiter(chunk, start, end)) return;
    if (chunk[start] === LETTER_B && this.leaf?.header.type.startsWith('text/') === true) {
      this.noteUuencoded(chunk, start, end);
    }
    this.bodyOctets(chunk, start, end, isComplete);
  }

  private takesDelimiter(chunk: Uint8Array, start: number, end: number): boolean {
    let last = end;
    while (last > start && isSpace(chunk[last - 1])) last -= 1;
    for (let index = this.frames.length - 1; index >= 0; index -= 1) {
      const frame = this.frames[index];
      const kind = frame === undefined ? undefined : delimiterKind(frame.boundary, chunk, start, last);
      if (frame === undefined || kind === undefined) continue;
      this.endPart();
      this.closeFrames(kind === 'close' ? index : index + 1, this.octets - (end - start));
      this.state = kind === 'close' ? 'skip' : 'header';
      this.defaultType = frame.defaultType;
      return true;
    }
    return false;
  }

  private closeFrames(keep: number, octets: number): void {
    for (const { message } of this.frames.slice(keep)) {
      if (message === undefined) continue;
      const { names, type } = message.header;
      this.tally.attachments.push({ names, type, sizeBytes: Math.max(0, octets - message.startedAt) });
    }
    this.frames.length = keep;
  }

  private noteUuencoded(chunk: Uint8Array, start: number, end: number): void {
    const line = String.fromCharCode(...chunk.subarray(start, Math.min(end, start + 300)));
    const name = UUENCODED.exec(line)?.[1];
    if (name === undefined) return;
    this.tally.parts += 1;
    if (this.tally.parts > this.limits.parts) this.fail('mime.limit');
    else this.tally.attachments.push({ names: [name], type: 'application/octet-stream', sizeBytes: 0 });
  }

  private bodyOctets(chunk: Uint8Array, start: number, end: number, isComplete: boolean): void {
    if (this.state !== 'body') return;
    this.leaf?.size.add(chunk, start, end, isComplete);
    if (this.inner === undefined) return;
    this.inner.scanner.write(this.inner.decoder.decode(chunk.subarray(start, end)));
    if (this.tally.fault !== undefined) this.fail(this.tally.fault);
  }

  private endPart(): void {
    const { leaf, inner } = this;
    this.leaf = undefined;
    this.inner = undefined;
    inner?.scanner.report();
    if (leaf === undefined || isBodyText(leaf.header)) return;
    const { names, type } = leaf.header;
    this.tally.attachments.push({ names, type, sizeBytes: leaf.size.sizeBytes });
  }
}

/** Stands for a message inside a message: one level, without delimiters of its own. */
const NO_BOUNDARY: Frame = { boundary: new Uint8Array(), defaultType: 'text/plain' };
const MAX_BOUNDARY = 200;

/** A multipart that nothing can take apart is one part. */
function isDelimiterless({ type, boundary }: PartHeader): boolean {
  return type.startsWith('multipart/') && (boundary === undefined || boundary.length > MAX_BOUNDARY);
}

const encoder = new TextEncoder();

function frameOf({ type, boundary = '' }: PartHeader): Frame {
  const defaultType = type === 'multipart/digest' ? 'message/rfc822' : 'text/plain';
  return { boundary: encoder.encode(boundary.trimEnd()), defaultType };
}

function isSpace(octet: number | undefined): boolean {
  return octet === LF || octet === CR || octet === 32 || octet === 9;
}

/** `--boundary` or `--boundary--`, with nothing but space behind. */
function delimiterKind(
  boundary: Uint8Array,
  chunk: Uint8Array,
  start: number,
  last: number,
): 'part' | 'close' | undefined {
  const length = last - start - 2;
  if (boundary.length === 0 || (length !== boundary.length && length !== boundary.length + 2)) return undefined;
  for (let at = 0; at < boundary.length; at += 1) {
    if (chunk[start + 2 + at] !== boundary[at]) return undefined;
  }
  if (length === boundary.length) return 'part';
  return chunk[last - 1] === DASH && chunk[last - 2] === DASH ? 'close' : undefined;
}
