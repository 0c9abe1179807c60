/**
 * Addresses of a From field. RFC 5322 s3.4. One pass, no recursion; display names, comments and groups are understood
 * and left out. Strict about the address itself: what programs could read differently is malformed.
 */
export interface Mailboxes {
  /** `local@domain` as written, space and comments removed. */
  readonly addresses: readonly string[];
  /** Display names, encoded words undecoded, one per address. */
  readonly names: readonly string[];
  /** Something in the field is no mailbox. */
  readonly malformed: boolean;
}

const ATOM = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~\\u0080-\\u{10ffff}-]+";
const DOT_ATOM = new RegExp(`^${ATOM}(?:\\.${ATOM})*$`, 'u');
const QUOTED = /^"(?:[^"\\\r\n]|\\[^\r\n])*"$/u;
const LITERAL = /^\[[^[\]\\\s]*\]$/;

export function readMailboxes(field: string, max: number): Mailboxes | undefined {
  const addresses: string[] = [];
  const names: string[] = [];
  const items = splitItems(field);
  if (items === undefined) return { addresses, names, malformed: true };
  if (items.length > max) return undefined;
  let malformed = items.length === 0;
  for (const item of items) {
    const mailbox = readMailbox(item);
    if (mailbox === undefined) {
      malformed = true;
    } else {
      addresses.push(mailbox.address);
      names.push(mailbox.name);
    }
  }
  return { addresses, names, malformed };
}

/** Mailboxes as texts without comments; undefined when quotes, comments or angles do not end. */
function splitItems(field: string): readonly string[] | undefined {
  const splitter = new Splitter();
  for (const character of field) splitter.take(character);
  return splitter.items();
}

class Splitter {
  private readonly found: string[] = [];
  private current = '';
  private isQuoted = false;
  private isEscaped = false;
  private isAngle = false;
  private isGroup = false;
  private comments = 0;

  take(character: string): void {
    if (this.isEscaped) {
      this.isEscaped = false;
      if (this.comments === 0) this.current += character;
    } else if (character === '\\' && (this.isQuoted || this.comments > 0)) {
      this.isEscaped = true;
      if (this.comments === 0) this.current += character;
    } else if (this.isQuoted) {
      this.current += character;
      if (character === '"') this.isQuoted = false;
    } else if (this.comments > 0 || character === '(') {
      this.comments += character === '(' ? 1 : character === ')' ? -1 : 0;
    } else {
      this.plain(character);
    }
  }

  items(): readonly string[] | undefined {
    if (this.isQuoted || this.isAngle || this.comments !== 0 || this.isEscaped || this.isGroup) return undefined;
    this.end();
    return this.found;
  }

  private plain(character: string): void {
    if (character === '"') this.isQuoted = true;
    if (character === '<' || character === '>') this.isAngle = character === '<';
    if (!this.isAngle && character === ',') {
      this.end();
    } else if (!this.isAngle && character === ':' && !this.isGroup) {
      this.isGroup = true;
      this.current = '';
    } else if (!this.isAngle && character === ';' && this.isGroup) {
      this.end();
      this.isGroup = false;
    } else {
      this.current += character;
    }
  }

  private end(): void {
    if (this.current.trim() !== '') this.found.push(this.current.trim());
    this.current = '';
  }
}

function readMailbox(item: string): { readonly address: string; readonly name: string } | undefined {
  const open = indexOutsideQuotes(item, '<');
  if (open === -1) {
    const address = readAddress(item);
    return address === undefined ? undefined : { address, name: '' };
  }
  if (!item.endsWith('>') || indexOutsideQuotes(item.slice(open + 1, -1), '<>') !== -1) return undefined;
  const address = readAddress(item.slice(open + 1, -1).trim());
  return address === undefined ? undefined : { address, name: item.slice(0, open).trim() };
}

function indexOutsideQuotes(text: string, wanted: string): number {
  let isQuoted = false;
  for (let at = 0; at < text.length; at += 1) {
    const character = text.charAt(at);
    if (character === '\\' && isQuoted) at += 1;
    else if (character === '"') isQuoted = !isQuoted;
    else if (!isQuoted && wanted.includes(character)) return at;
  }
  return -1;
}

/** The domain follows the last `@` that is not quoted. */
function readAddress(text: string): string | undefined {
  const compact = text.startsWith('"') ? text : withoutSpace(text);
  const at = compact.startsWith('"') ? compact.lastIndexOf('"') + 1 : compact.lastIndexOf('@');
  if (at < 1 || compact.charAt(at) !== '@') return undefined;
  const local = compact.slice(0, at);
  const domain = compact.slice(at + 1);
  const isLocal = DOT_ATOM.test(local) || QUOTED.test(local);
  return isLocal && (DOT_ATOM.test(domain) || LITERAL.test(domain)) ? `${local}@${domain}` : undefined;
}

/** Space may stand around dots and the `@` only; anywhere else it stays, and the address is none. */
function withoutSpace(text: string): string {
  const parts: string[] = [];
  let last = '';
  for (const word of text.trim().split(/\s+/)) {
    if (last !== '' && !isJoint(last) && !isJoint(word.charAt(0))) parts.push(' ');
    parts.push(word);
    last = word.slice(-1);
  }
  return parts.join('');
}

function isJoint(character: string): boolean {
  return character === '.' || character === '@';
}
