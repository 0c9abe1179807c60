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
export type FactValue = string | number | boolean | readonly string[] | { readonly unknown: string };
export type Facts = Readonly<Record<string, FactValue>>;

/** The phases that exist, in their order. */
export type Phase = 'connect' | 'helo' | 'mail' | 'rcpt' | 'routing';

/** What a rule says to the client. The gateway appends the trace id to 4xx and 5xx texts. */
export interface DecisionReply {
  readonly code: number;
  readonly enhanced: string;
  readonly text: string;
}

export type Verdict = 'accept' | 'reject' | 'defer';

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
  /** What unknown facts this decision rests on, `fact: why`; only when a rule deferred because of them. */
  readonly unknown?: string;
}

/** The outcome for one recipient, after everything that comes before it. */
export interface RecipientDecision extends Decision {
  /** The forward path's address as the client gave it (bare `postmaster` with the domain it belongs to). */
  readonly original: string;
  /** The address mail goes to, after rewriting. */
  readonly recipient: string;
  /** Name of the route; present exactly when the verdict is `accept`. */
  readonly route?: string;
}

/** One transaction decided from its facts: what each stage said, and the answer per recipient. */
export interface TransactionDecision {
  readonly connect: Decision;
  readonly helo: Decision;
  /** Connect, helo and mail together: what holds for the transaction as a whole. */
  readonly mail: Decision;
  readonly recipients: readonly RecipientDecision[];
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
  /** Lower-case fragment, input in backticks, what was expected. */
  readonly message: string;
  /** What to write instead, when there is one obvious cure. */
  readonly fix?: string;
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
}

export interface RetryProfile {
  readonly name: string;
  readonly firstMs: number;
  readonly factor: number;
  readonly longestMs: number;
  readonly giveUpMs: number;
}

export interface RouteHost {
  /** Lower-case A-label name, or an IP address without brackets. */
  readonly host: string;
  readonly port: number;
  /** Lowest first. */
  readonly priority: number;
  /** Share among equals, at least 1. */
  readonly weight: number;
}

interface RouteBase {
  readonly name: string;
  readonly retry: RetryProfile;
  readonly limits: { readonly connections: number };
}

interface SmtpRouteBase extends RouteBase {
  /** Permanent replies (500 to 599) after which the next host is asked all the same. */
  readonly nextHostOn?: readonly number[];
}

export type RouteDefinition =
  | (SmtpRouteBase & { readonly kind: 'hosts'; readonly hosts: readonly RouteHost[] })
  | (SmtpRouteBase & { readonly kind: 'mx' })
  | (RouteBase & { readonly kind: 'file'; readonly format: 'maildir'; readonly directory: string });

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
