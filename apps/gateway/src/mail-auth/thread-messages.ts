/** What the gateway and a thread that checks content say to each other. */
import type { ContentResults, DnsReply } from '#mail-auth';

export type ToThread =
  /** Content of one check, in order; the octets are handed over, not copied. */
  | { readonly kind: 'content'; readonly id: number; readonly blocks: readonly Uint8Array[]; readonly ends: boolean }
  | { readonly kind: 'drop'; readonly id: number }
  | { readonly kind: 'answer'; readonly question: number; readonly reply: DnsReply<string> };

export type FromThread =
  /** So many octets of it are dealt with. */
  | { readonly kind: 'taken'; readonly id: number; readonly bytes: number }
  /** TXT records of a name are wanted: only the gateway asks the DNS. */
  | { readonly kind: 'question'; readonly question: number; readonly name: string }
  | { readonly kind: 'results'; readonly id: number; readonly results: ContentResults };
