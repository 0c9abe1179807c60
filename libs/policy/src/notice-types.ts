/** What the policy says about notices to senders. */

export const NOTICE_KINDS = ['failed', 'delayed', 'relayed', 'delivered'] as const;
export type NoticeKind = (typeof NOTICE_KINDS)[number];

/** What stands in braces in the words of a notice. */
export const NOTICE_PLACEHOLDERS = ['gateway', 'retry-until'] as const;

export interface NoticeWords {
  readonly subject?: string;
  /** Lines end in LF; `{gateway}` and `{retry-until}` are put in by the gateway. */
  readonly text?: string;
}

export interface NoticePolicy {
  /** `multipart` is RFC 3464, for people and programs; `plain` one text for people. */
  readonly form: 'multipart' | 'plain';
  /** To addresses of one domain, all gateways together. */
  readonly limit: { readonly max: number; readonly perMs: number };
  readonly words: Readonly<Partial<Record<NoticeKind, NoticeWords>>>;
}
