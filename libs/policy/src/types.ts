/**
 * The shapes that cross the border of this library: facts in, definitions and decisions out.
 *
 * The evaluator has no clock, no network and no randomness: a decision is a function of facts and snapshot, and
 * every fact that it may look at is recorded, so that any decision can be made again.
 */

/**
 * The value of a fact. A missing key is an *absent* fact; a look-up that failed is `{ unknown: why }`, never a
 * missing key. Times are RFC 3339 text, addresses `local@domain` with the domain as lower-case A-labels.
 */
export type FactValue = string | number | boolean | readonly string[] | readonly number[] | UnknownFact;

/**
 * A look-up that failed. Where several look-ups make one fact and some of them failed, `values` are those that are
 * known, and `among` those of which it is not known whether they are values as well.
 */
export interface UnknownFact {
  readonly unknown: string;
  readonly values?: readonly string[];
  readonly among?: readonly string[];
}
export type Facts = Readonly<Record<string, FactValue>>;

/** The phases that exist, in their order. */
export type Phase = 'connect' | 'helo' | 'mail' | 'rcpt' | 'message' | 'routing';

/** What a rule says to the client. The gateway appends the trace id to 4xx and 5xx texts. */
export interface DecisionReply {
  readonly code: number;
  readonly enhanced: string;
  readonly text: string;
}

/** `hold` and `discard` come from message rules only: the client is told that the mail was accepted. */
export type Verdict = 'accept' | 'reject' | 'defer' | 'hold' | 'discard';

/** How long a rule makes strangers wait, and how long it knows those who came back. */
export interface GreylistTerms {
  readonly delayMs: number;
  readonly rememberMs: number;
}

/** The outcome of one phase, or of several, by the first verdict that stood. */
export interface Decision {
  readonly verdict: Verdict;
  /** `phase/rule` or `builtin/name`; empty for an accept that no rule made. */
  readonly by: string;
  /** Present for reject and defer, and only for them. */
  readonly reply?: DecisionReply;
  /** Name of the policy's client, or `none`. Always `none` in the connect phase. */
  readonly client: string;
  /** Tags given so far by matching rules, in the order they were first given. */
  readonly tags: readonly string[];
  /**
   * When the answer is due: `now` to the command that was judged, `at-rcpt` as the answer to every RCPT TO (the
   * command itself gets its usual 250). Accepts are always `now`.
   */
  readonly answer: 'now' | 'at-rcpt';
  /** How long the answer to connect or helo waits; of `judgeHelo` with what connect rules said. Absent: not at all. */
  readonly delayMs?: number;
  /** What unknown facts this decision rests on, `fact: why`; only when a rule deferred because of them. */
  readonly unknown?: string;
  /**
   * Present where a rule deferred by `greylist`. Where the facts had no `greylist`, nobody was asked yet: it is to be looked
   * up on these terms, and the recipient judged again.
   */
  readonly greylist?: GreylistTerms;
}

/** The outcome for one recipient, after everything that comes before it. */
export interface RecipientDecision extends Decision {
  /** The forward path's address as the client gave it (bare `postmaster` with the domain it belongs to). */
  readonly original: string;
  /** The address mail goes to, after rewriting. */
  readonly recipient: string;
  /** Name of the route; present exactly when the verdict is `accept`. */
  readonly route?: string;
  /** Present for `hold`: the review queue that keeps the recipient's mail. */
  readonly reviewQueue?: string;
  /** Changes to the header of this recipient's mail, one per field name. */
  readonly headers?: readonly HeaderEdit[];
  /** Keys that sign this recipient's mail, copies of it included. Absent: none. */
  readonly signatures?: readonly SigningKeyUse[];
  /** Key that seals what was found out about it (ARC), on top of the seals it came with. Absent: none. */
  readonly seal?: SigningKeyUse;
  /** Who gets the mail besides: `add-recipient` and `copies`. Only when the mail goes on. */
  readonly added?: readonly AddedRecipient[];
  /** What this recipient's own verdict was, where the answer to all of them made it another (`mixed-verdicts`). */
  readonly instead?: { readonly verdict: Verdict; readonly reply?: DecisionReply };
}

/** A key, and where its public half stands in the DNS: `<selector>._domainkey.<domain>`. */
export interface SigningKeyUse {
  /** Lower-case A-labels. */
  readonly domain: string;
  readonly selector: string;
  /** Name in the secret store. */
  readonly secret: string;
}

/** `set` removes what is there and adds one, `add` adds one, `remove` removes all. Names compare without case. */
export interface HeaderEdit {
  readonly op: 'set' | 'add' | 'remove';
  readonly name: string;
  /** Absent for `remove`. */
  readonly value?: string;
}

export interface AddedRecipient {
  readonly address: string;
  readonly route: string;
  /** Id of the rule, `copies/name` for a copy. */
  readonly by: string;
}

/** What the client is told after the final dot. */
export interface MessageOutcome {
  /** Absent: 250. */
  readonly refusal?: { readonly verdict: 'reject' | 'defer'; readonly by: string; readonly reply: DecisionReply };
  /** In the order of the recipients that were asked about, settled by `mixed-verdicts`. */
  readonly recipients: readonly RecipientDecision[];
}

/** One transaction decided from its facts: what each stage said, and the answer per recipient. */
export interface TransactionDecision {
  readonly connect: Decision;
  readonly helo: Decision;
  /** Connect, helo and mail together: what holds for the transaction as a whole. */
  readonly mail: Decision;
  readonly recipients: readonly RecipientDecision[];
  /** What refused the message as a whole after the final dot. */
  readonly refusal?: MessageOutcome['refusal'];
}

export type MixedVerdicts = 'hold' | 'split' | 'strictest';

/** A place where mail waits for a person, and what becomes of it when nobody comes. */
export interface ReviewQueue {
  readonly name: string;
  readonly expireMs: number;
  readonly onExpire: 'return-to-sender' | 'deliver' | 'discard';
}

export type Severity = 'blocks' | 'warns' | 'info';

/** Something that the reader, the compiler or the analyser has to say about a document. */
export interface Finding {
  /** `S…` reading and shape, `R…` relay, `P…` rules, `T…` routes, `L…` lists, `V…` tests. */
  readonly code: string;
  readonly severity: Severity;
  /** RFC 6901 pointer into the document; empty for the whole of it. */
  readonly pointer: string;
  /** Counted from 1; absent when the document was given as a value, not as text. */
  readonly line?: number;
  readonly column?: number;
  /** The file it was written in, where several are one document. */
  readonly file?: string;
  /** Lower-case fragment, input in backticks, what was expected. */
  readonly message: string;
  /** What to write instead, when there is one obvious cure. */
  readonly fix?: string;
  /** A transaction that shows it: the facts that the judge is asked about. */
  readonly example?: Facts;
}

export type ListType = 'address' | 'domain' | 'network' | 'word' | 'regex';

/** Where the gateway listens. */
export interface ListenerDefinition {
  readonly name: string;
  /**
   * Addresses to bind, at least one. `::` alone stands for every address of the machine, IPv4 included: where IPv6
   * is missing, bind `0.0.0.0` instead.
   */
  readonly addresses: readonly string[];
  /** 0 = any free port. */
  readonly port: number;
  readonly exposure: 'internet' | 'internal';
  /** Absent: no TLS here. */
  readonly tls?: ListenerTls;
  /** Absent: nobody can sign in here. */
  readonly auth?: ListenerAuth;
  /** The listener speaks the PROXY protocol: `isProxy` says who may, everybody else is cut. */
  readonly proxyProtocol: boolean;
  /** XCLIENT is taken from those for whom `mayXclient` says so. */
  readonly xclient: boolean;
  /** How long a client waits for its greeting; 0 = not at all. */
  readonly greetingDelayMs: number;
}

export interface ListenerTls {
  readonly mode: 'starttls' | 'implicit';
  /** Name of the certificate in the gateway's store. */
  readonly certificate: string;
  /** MAIL FROM is refused before TLS (the judge does so: `builtin/tls-required`). */
  readonly required: boolean;
  readonly clientCertificates: 'none' | 'request';
}

export interface ListenerAuth {
  /** MAIL FROM is refused before AUTH (the judge does so: `builtin/auth-required`). */
  readonly required: boolean;
  readonly mechanisms: readonly AuthMechanism[];
  /** Passwords are taken without TLS. */
  readonly withoutTls: boolean;
}

export type AuthMechanism = 'PLAIN' | 'LOGIN' | 'SCRAM-SHA-256';

export type { RetryProfile, RouteDefinition, RouteHost, RouteTlsProfile } from './route-types.js';

/** A list whose entries live outside the document, at their own revision. */
export interface ManagedListDefinition {
  readonly name: string;
  readonly type: Exclude<ListType, 'regex'>;
  /** Name of the inline list that bounds the entries. */
  readonly within?: string;
  /** `deny`: only ever used to refuse. */
  readonly use?: 'deny';
}

/** What the gateway enforces without asking the evaluator. */
export interface PolicyLimits {
  readonly maxMessageSizeBytes: number;
  readonly maxRecipients: number;
  /** Connections at the same time, all listeners of one node together. */
  readonly maxConnections: number;
  /** Of them, those from one client address. */
  readonly maxConnectionsPerAddress: number;
}

/** Members of a list at one revision. Immutable: changes give a new list that shares the old one's tables. */
export interface ManagedList {
  readonly name: string;
  readonly type: Exclude<ListType, 'regex'>;
  readonly revision: number;
  /** Number of entries. */
  readonly size: number;
  /** Changes since it was built: when there are many, building it anew from `entries()` makes it smaller and faster. */
  readonly overlay: number;
  /** Whether a fact's value is covered by an entry: `.example.com` covers `a.example.com`, `10.0.0.0/8` an address. */
  has(value: string, foldLocal?: boolean): boolean;
  /** The entry that covers the value. `foldLocal`: local parts of addresses compare without case (our own domains). */
  match(value: string, foldLocal?: boolean): string | undefined;
  /** Whether exactly this entry (in canonical form) is in the list. */
  hasEntry(entry: string): boolean;
  /** Cost of a few entries, whatever the size of the list. Entries that are no valid value of the type throw. */
  withChanges(adds: Iterable<string>, removes: Iterable<string>, revision: number): ManagedList;
  entries(): Iterable<string>;
}
