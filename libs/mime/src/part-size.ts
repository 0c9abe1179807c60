/** Counts the octets of a part after decoding, without decoding it. */
const EQUALS = 61;
const CR = 13;
const LF = 10;

export class PartSize {
  private octets = 0;
  private equals = 0;
  private lineEnds = 0;

  constructor(private readonly encoding: string) {}

  add(chunk: Uint8Array, start: number, end: number, isLineEnd: boolean): void {
    this.octets += end - start;
    if (isLineEnd) this.lineEnds += chunk[end - 2] === CR ? 2 : 1;
    if (this.encoding === 'quoted-printable') this.countEscapes(chunk, start, end);
    else if (this.encoding === 'base64') this.countPadding(chunk, start, end);
  }

  /** The line end before a delimiter belongs to the delimiter. */
  get sizeBytes(): number {
    if (this.encoding === 'base64') {
      return Math.max(0, Math.floor(((this.octets - this.lineEnds - this.equals) * 3) / 4));
    }
    const escapes = this.encoding === 'quoted-printable' ? 2 * this.equals : 0;
    return Math.max(0, this.octets - escapes - (this.lineEnds > 0 ? 2 : 0));
  }

  private countEscapes(chunk: Uint8Array, start: number, end: number): void {
    for (let at = chunk.indexOf(EQUALS, start); at !== -1 && at < end; at = chunk.indexOf(EQUALS, at + 1)) {
      this.equals += 1;
    }
  }

  /** At the end of the last line only. */
  private countPadding(chunk: Uint8Array, start: number, end: number): void {
    for (let at = end - 1; at >= start; at -= 1) {
      const octet = chunk[at];
      if (octet === EQUALS) this.equals += 1;
      else if (octet !== CR && octet !== LF) break;
    }
  }
}
