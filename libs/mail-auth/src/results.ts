/**
 * What was found out about who sent a message: one value for SPF (RFC 7208), one for each DKIM signature (RFC 6376), one for
 * DMARC (RFC 7489), one for the ARC chain (RFC 8617). Results are the words of RFC 8601 s2.7; each comes with its evidence.
 *
 * A part that is absent was not asked for. `temperror` means that nobody knows: it is never to be taken for anything else.
 */

export type SpfResult = 'pass' | 'fail' | 'softfail' | 'neutral' | 'none' | 'permerror' | 'temperror';

export interface SpfCheck {
  readonly result: SpfResult;
  /** RFC 7208 s2.3, s2.4: HELO is checked where the reverse path is empty. */
  readonly identity: 'mailfrom' | 'helo';
  /** The domain that was asked, lower-case A-labels. */
  readonly domain: string;
  /** `local@domain` that was checked; `postmaster@<helo>` for the null sender. */
  readonly sender: string;
  readonly clientAddress: string;
  /** SPF record of the domain. */
  readonly record?: string;
  /** The term that matched, as written; with the domain of the record that has it where that is another one. */
  readonly mechanism?: string;
  /** Terms that cost a look-up, RFC 7208 s4.6.4. */
  readonly lookUps: number;
  readonly why?: string;
}

/**
 * - `pass`: verified, and acceptable to us        - `fail`: does not verify (content or header was changed)
 * - `neutral`: not to be verified: syntax, version, expired, from the future
 * - `policy`: verified by the letter, but weak: short key, `l=`, SHA-1, From not signed
 * - `permerror`: no key, a revoked or a useless one         - `temperror`: the key could not be looked up
 */
export type DkimResult = 'pass' | 'fail' | 'neutral' | 'policy' | 'permerror' | 'temperror';

export interface DkimCheck {
  readonly result: DkimResult;
  /** `d=`, lower-case A-labels; empty when there was none to be read. */
  readonly domain: string;
  /** `s=`. */
  readonly selector: string;
  /** `i=`, when it was given. */
  readonly identity?: string;
  /** `a=`. */
  readonly algorithm?: string;
  /** First 12 characters of `b=`, for `header.b` (RFC 8601 s2.7.1, RFC 6008). */
  readonly signature?: string;
  /** Of an RSA key. */
  readonly keyBits?: number;
  /** Key record. */
  readonly record?: string;
  /** The key has the flag `t=y`: its owner is only trying. */
  readonly testing?: true;
  readonly why?: string;
}

export type DmarcResult = 'pass' | 'fail' | 'none' | 'permerror' | 'temperror';
export type DmarcPolicy = 'none' | 'quarantine' | 'reject';

export interface DmarcCheck {
  readonly result: DmarcResult;
  /** The one domain in From; empty when there is none, or not one. */
  readonly domain: string;
  /** Its organisational domain. */
  readonly organisationalDomain: string;
  /** What the owner asks for mail that fails; absent without a record. */
  readonly policy?: DmarcPolicy;
  readonly record?: string;
  /** Whose record it is: the domain, or one above it. */
  readonly recordDomain?: string;
  /** Identifiers that passed and are aligned with From, as the record demands it (relaxed where there is none). */
  readonly aligned: readonly ('spf' | 'dkim')[];
  readonly why?: string;
}

export type ArcResult = 'pass' | 'fail' | 'none' | 'temperror';

export interface ArcCheck {
  readonly result: ArcResult;
  /** Number of ARC sets, 0 without a chain. */
  readonly instances: number;
  /** `d=` of the seals, oldest first; worth something only when the result is `pass`. */
  readonly sealers: readonly string[];
  /** ARC-Authentication-Results of the newest set, unfolded, without `i=`. */
  readonly authenticationResults?: string;
  /** `cv=` of the newest seal. */
  readonly chainValidation?: string;
  readonly why?: string;
}

export interface MailAuthResults {
  readonly spf?: SpfCheck;
  /** In the order of the header, top first. Empty: there is no signature. */
  readonly dkim?: readonly DkimCheck[];
  readonly dmarc?: DmarcCheck;
  readonly arc?: ArcCheck;
}
