/**
 * The hash chain over the audit. What one commit wrote is a block: the hash of a block covers its rows, its place
 * (chain and sequence) and the hash of the block before it. Texts only: who hashes them is the caller's business.
 *
 * Canonical form, after RFC 8785: JSON without white space, keys in code-unit order, JSON.stringify's escapes. A row's
 * `data` stands in it as it is stored, octet for octet, because the column keeps JSON as text.
 */

/** An audit row as it is stored. */
export interface ChainedRow {
  readonly id: string;
  readonly kind: string;
  readonly sessionId: string | null;
  readonly transactionId: string | null;
  readonly recipientId: string | null;
  readonly recipient: string | null;
  readonly sender: string | null;
  readonly senderDomain: string | null;
  /** In the form of canonicalAddress(). */
  readonly client: string | null;
  /** JSON text. */
  readonly data: string;
}

/** Place of a block. Every process has chains of its own, so that no commit waits for another's hash. */
export interface BlockPlace {
  readonly id: string;
  readonly chain: string;
  /** From 1, without gaps. */
  readonly sequence: number;
  /** Node that wrote it; '' for processes that are no gateway. */
  readonly node: string;
  /** Hash of the block before, hex; GENESIS for the first. */
  readonly previous: string;
}

/** The newest block of a chain, as far as somebody knows it. */
export interface ChainHead {
  readonly chain: string;
  readonly sequence: number;
  readonly hash: string;
  /** Id of the block: it tells when it was made. */
  readonly id: string;
}

/** `previous` of the first block of a chain, and of the first checkpoint of a node. */
export const GENESIS = '0'.repeat(64);

const text = (value: string | null): string => (value === null ? 'null' : JSON.stringify(value));
const plain = (value: string | null): string => (value === null ? 'null' : `"${value}"`);

/** Canonical JSON of a row. Ids hold no character that needs an escape. */
export function rowText(row: ChainedRow): string {
  return (
    `{"client":${text(row.client)},"data":${row.data},"id":"${row.id}","kind":${text(row.kind)},` +
    `"recipient":${text(row.recipient)},"recipientId":${plain(row.recipientId)},"sender":${text(row.sender)},` +
    `"senderDomain":${text(row.senderDomain)},"sessionId":${plain(row.sessionId)},"transactionId":${plain(row.transactionId)}}`
  );
}

/** What a block's hash is taken of: its place and all its rows, in their order. */
export function blockText(place: BlockPlace, rows: readonly ChainedRow[]): string {
  let written = `{"chain":"${place.chain}","id":"${place.id}","node":${text(place.node)},"previous":"${place.previous}","rows":[`;
  for (let index = 0; index < rows.length; index += 1) {
    const row = rows[index];
    if (row !== undefined) written += (index === 0 ? '' : ',') + rowText(row);
  }
  return `${written}],"sequence":${place.sequence}}`;
}

/**
 * One spelling per address, so that what the database gives back hashes like what it was given: IPv4 as it is, IPv6 as
 * RFC 5952 has it. Text that is no address stays as it is.
 */
export function canonicalAddress(address: string): string {
  if (!address.includes(':')) return address;
  const url = `http://[${address}]/`;
  return URL.canParse(url) ? new URL(url).hostname.slice(1, -1) : address;
}
