/**
 * The names that checks have to look up, as they ask for them. Whoever answers bounds time and size, and caches; an answer
 * is hostile text.
 */

/** `none`: the name is there, records of this type are not. `failed`: nobody knows. */
export type DnsReply<T> =
  | { readonly kind: 'found'; readonly values: readonly T[] }
  | { readonly kind: 'none' }
  | { readonly kind: 'no-domain' }
  | { readonly kind: 'failed'; readonly message: string };

export interface TextNames {
  /** TXT records, the strings of each joined without anything between them (RFC 7208 s3.3, RFC 6376 s3.6.2.2). */
  txt(name: string): Promise<DnsReply<string>>;
}

export interface MailAuthDns extends TextNames {
  ipv4(host: string): Promise<DnsReply<string>>;
  ipv6(host: string): Promise<DnsReply<string>>;
  mx(domain: string): Promise<DnsReply<{ readonly exchange: string; readonly priority: number }>>;
  /** Names an address claims to have, asked for as `1.2.0.192.in-addr.arpa`. */
  pointers(name: string): Promise<DnsReply<string>>;
}

/** Whether an answer says that there is nothing. RFC 7208 s4.6.4: a void look-up. */
export function isVoid(reply: DnsReply<unknown>): boolean {
  return reply.kind === 'none' || reply.kind === 'no-domain' || (reply.kind === 'found' && reply.values.length === 0);
}

export function valuesOf<T>(reply: DnsReply<T>): readonly T[] {
  return reply.kind === 'found' ? reply.values : [];
}
