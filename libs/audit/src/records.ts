/** What events carry: the parts of the vocabulary that several kinds share (event.ts has the kinds). */

/** A value of a policy fact as it is recorded. A failed look-up is `{ unknown: why }`, never a missing key. */
export type RecordedFact =
  | string
  | number
  | boolean
  | readonly string[]
  | readonly number[]
  | { readonly unknown: string; readonly values?: readonly string[]; readonly among?: readonly string[] };
export type RecordedFacts = Readonly<Record<string, RecordedFact>>;

/** Which policy judged: enough to load exactly the same snapshot again. `lists` maps managed list to its revision. */
export interface RecordedSnapshot {
  readonly policy: string;
  readonly revision: number;
  readonly digest: string;
  readonly lists: Readonly<Record<string, number>>;
}

/** What was decided for one recipient, with the facts that only this recipient had. */
export interface RecordedRecipient {
  /** UUIDv7; the same id in the queue and in every `delivery.*` event. */
  readonly id: string;
  /** Forward path as the client gave it. */
  readonly original: string;
  /** Address mail goes to, after rewriting. */
  readonly address: string;
  /** After the final dot where message rules judged; `hold` and `discard` come from there only. */
  readonly verdict: 'accept' | 'reject' | 'defer' | 'hold' | 'discard';
  /** Rule that decided (`rcpt/leaver`, `builtin/relay-denied`), or '' when no rule did. */
  readonly by: string;
  /** The reply as sent, byte for byte, without CRLF. */
  readonly reply: string;
  /** Route chosen by the routing rules; absent for a refused recipient. */
  readonly route?: string;
  readonly facts: RecordedFacts;
  /** Tags given by rules up to RCPT TO: a release goes on from there. */
  readonly tags?: readonly string[];
  /** Review queue that keeps the mail, for `hold`. */
  readonly reviewQueue?: string;
  /** Its own verdict, where `mixed-verdicts` made it another. */
  readonly instead?: { readonly verdict: string; readonly reply?: string };
  /** Changes to the header of its mail. */
  readonly headers?: readonly {
    readonly op: 'set' | 'add' | 'remove';
    readonly name: string;
    readonly value?: string;
  }[];
  /** Keys that are to sign its mail, `domain/selector`. */
  readonly signatures?: readonly string[];
  /** Key that is to seal it (ARC). */
  readonly seal?: string;
  /** What the sender asked about notices for it (RFC 3461), as given. */
  readonly parameters?: { readonly notify?: readonly string[]; readonly originalRecipient?: string };
  /** Rule that added it (`add-recipient`, or a copy): the client never named it, and nothing was judged for it. */
  readonly addedBy?: string;
}

/** ESMTP parameters of MAIL FROM. */
export interface RecordedMailParameters {
  readonly sizeBytes?: number;
  readonly body?: '7BIT' | '8BITMIME';
  readonly smtpUtf8?: true;
  readonly ret?: 'FULL' | 'HDRS';
  readonly envelopeId?: string;
  readonly authParam?: string;
}

/** A MAIL or RCPT that was refused before the policy was asked. */
export interface RecordedRefusal {
  /** As it was sent, at most 512 characters. */
  readonly command: string;
  readonly reply: string;
}

/** TLS of one session. */
export interface RecordedTls {
  readonly version: string;
  readonly cipher: string;
  /** Name the client asked for. */
  readonly serverName?: string;
  /** SHA-256 of the certificate of the client, hex. */
  readonly clientFingerprint?: string;
}

/** What was looked at to find out who sent a message, and what came of it. Results are the words of RFC 8601. */
export interface RecordedMailAuth {
  readonly spf?: {
    readonly result: string;
    readonly identity: 'mailfrom' | 'helo';
    readonly domain: string;
    readonly sender: string;
    readonly clientAddress: string;
    /** SPF record of the domain, and the term of it (or of one that it includes) that matched. */
    readonly record?: string;
    readonly mechanism?: string;
    readonly lookUps: number;
    readonly why?: string;
  };
  /** One for each signature. */
  readonly dkim?: readonly {
    readonly result: string;
    readonly domain: string;
    readonly selector: string;
    readonly identity?: string;
    readonly algorithm?: string;
    readonly signature?: string;
    readonly keyBits?: number;
    readonly record?: string;
    readonly testing?: true;
    readonly why?: string;
  }[];
  readonly dmarc?: {
    readonly result: string;
    readonly domain: string;
    readonly organisationalDomain: string;
    readonly policy?: string;
    readonly record?: string;
    readonly recordDomain?: string;
    readonly aligned: readonly string[];
    readonly why?: string;
  };
  readonly arc?: {
    readonly result: string;
    readonly instances: number;
    readonly sealers: readonly string[];
    readonly authenticationResults?: string;
    readonly chainValidation?: string;
    readonly why?: string;
  };
}

export interface TransactionRecord {
  readonly listener: string;
  readonly clientPort: number;
  readonly helo: string;
  /** As in the Received field, RFC 3848: `ESMTPSA` is ESMTP under TLS after AUTH. */
  readonly protocol: string;
  /** Milliseconds since the epoch at MAIL FROM. */
  readonly startedAtMs: number;
  readonly snapshot: RecordedSnapshot;
  /** Policy client that matched, or `none`. */
  readonly client: string;
  /** Facts shared by all recipients, as the evaluator saw them. */
  readonly facts: RecordedFacts;
  /** Evidence for the facts `spf`, `dkim`, `dmarc`, `arc` and what follows from them; absent where nobody asked. */
  readonly authentication?: RecordedMailAuth;
  readonly parameters: RecordedMailParameters;
  readonly message?: {
    readonly sizeBytes: number;
    /** SHA-256 of the content as received, hex. */
    readonly digest: string;
    readonly messageId?: string;
    readonly from?: string;
    readonly subject?: string;
  };
  readonly recipients: readonly RecordedRecipient[];
  /** Commands inside the transaction that never came to be judged (syntax, too many recipients), the first 50. */
  readonly refusedCommands?: readonly RecordedRefusal[];
  /** Last reply of the transaction as sent; absent when the client left before one was due. */
  readonly reply?: string;
  /** Rule that decided the whole transaction, '' when none did. */
  readonly by: string;
  /** Why it ended without acceptance: `reset`, `quit`, `lost`, `timeout`, `all-recipients-refused`, `content-refused`, … */
  readonly reason?: string;
}

/** One attempt to deliver, as seen by the next hop. */
export interface AttemptRecord {
  readonly attempt: number;
  readonly route: string;
  /** Policy revision whose definition of the route was used. */
  readonly routeRevision: number;
  /** Next hop by name, empty when none could be chosen; for files the path of what was written. */
  readonly host: string;
  readonly address?: string;
  readonly port?: number;
  /** Stage that produced the outcome: connect, banner, ehlo, tls, auth, mail, rcpt, data, content, file, dns, policy. */
  readonly stage: string;
  /** The remote's reply, controls replaced, at most 512 octets; or our description of a network fault. */
  readonly reply: string;
  readonly code?: number;
  readonly enhanced?: string;
  /** Where the route asks for TLS: what came of it. `why` says why it is not encrypted or not verified. */
  readonly tls?: {
    readonly version?: string;
    readonly cipher?: string;
    readonly verified: boolean;
    /** SHA-256 of the next hop's certificate, lower-case hex. */
    readonly fingerprint?: string;
    readonly why?: string;
  };
  /** Keys it left signed with, `domain/selector`. */
  readonly signed?: readonly string[];
  /** Why it left without a signature that it was to have. */
  readonly unsigned?: string;
  /** Key of the ARC seal it left with, and why it left without one that it was to have. */
  readonly sealed?: string;
  readonly unsealed?: string;
  readonly startedAtMs: number;
  readonly tookMs: number;
  /** Next attempt, for deferrals. Milliseconds since the epoch. */
  readonly nextAttemptAtMs?: number;
}

/** An SMTP account as it was before or after a change. Never its password, nor what it is checked against. */
export interface RecordedAccount {
  readonly revision: number;
  readonly identities: readonly string[];
  readonly disabled: boolean;
  /** RFC 3339. */
  readonly expiresAt?: string;
  readonly note?: string;
}

/** A recipient's place in the queue, before or after an operator changed it. */
export interface RecordedPlace {
  /** `queued`, `deferred`, `held`, `suspended`, `broken`. */
  readonly state: string;
  readonly address: string;
  readonly route: string;
  readonly attempts: number;
  /** Milliseconds since the epoch. */
  readonly nextAttemptAtMs: number;
}

/** What an operator did to one recipient in the queue. */
export interface QueueChangeRecord {
  readonly actor: string;
  readonly reason?: string;
  /** The operation that did it to many. */
  readonly operation?: string;
  readonly before: RecordedPlace;
  /** Absent: it is not in the queue any more. */
  readonly after?: RecordedPlace;
}

/** Who changed something that goes on, and why. */
export interface Word {
  readonly actor: string;
  readonly reason?: string;
}

export type ReviewAction = 'release' | 'reject' | 'return' | 'discard';

/** How held mail stopped waiting, or did not. */
export interface ReviewEnd {
  readonly queue: string;
  /** Rule that held it. Overridden where a person released the mail. */
  readonly rule: string;
  readonly actor: string;
  readonly reason?: string;
  /** Policy revision that judged the release. */
  readonly revision: number;
}

/** A recipient that the rules added when held mail was released. */
export interface ReleasedCopy {
  readonly id: string;
  readonly address: string;
  readonly route: string;
  /** Rule that added it. */
  readonly by: string;
}
