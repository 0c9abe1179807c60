/**
 * Routes as relay needs them: where mail goes and how often it is tried. The gateway translates the policy's routes into
 * these (policy-language: routes and retry profiles); a queue row stores only the route's *name*, so that a corrected
 * definition helps mail that is already queued.
 */

/** Delays in milliseconds: the first one, multiplied by `factor` up to the longest, until the message is `giveUpMs` old. */
export interface RetryProfile {
  readonly firstMs: number;
  readonly factor: number;
  readonly longestMs: number;
  readonly giveUpMs: number;
  /** Age at which the sender is told of the delay, once. Absent: never. */
  readonly delayNoticeMs?: number;
}

export interface RouteHost {
  /** Name, IPv4 or IPv6 address (brackets allowed), or the absolute path of a socket on this machine. */
  readonly host: string;
  /** Without meaning for a socket. */
  readonly port: number;
  /** Lowest first. */
  readonly priority: number;
  /** Share among hosts of the same priority; 0 only when no other is usable. */
  readonly weight: number;
}

interface RouteBase {
  readonly retry: RetryProfile;
  /** Connections (or files written at once) per destination. */
  readonly maxConnections: number;
}

/** At most `max` within any `perMs`; all gateways together. */
export interface FlowLimit {
  readonly max: number;
  readonly perMs: number;
}

export interface FlowLimits {
  readonly messages?: FlowLimit;
  readonly recipients?: FlowLimit;
}

/** TLS to the hosts of a route. */
export interface RouteTls {
  /** The floor: `opportunistic` may end in plaintext, the others never do. */
  readonly require: 'opportunistic' | 'encrypted' | 'verified';
  /** Absent: implicit (from the first octet) on port 465, STARTTLS on every other. */
  readonly mode?: 'starttls' | 'implicit';
  /** Name of the trusted authorities; absent: those of the system. */
  readonly authorities?: string;
  /** Name of our own certificate. */
  readonly certificate?: string;
}

export interface RouteAuth {
  /** Name in the secret store: the password, or `username:password` where no username is given. */
  readonly secret: string;
  readonly username?: string;
  /** Sent although TLS has not proven whom to. */
  readonly withoutVerifiedTls: boolean;
}

interface SmtpRouteBase extends RouteBase {
  readonly protocol?: 'smtp' | 'lmtp';
  /** Source addresses on a machine with several: one for each family at most. */
  readonly localAddresses?: readonly string[];
  readonly tls?: RouteTls;
  readonly auth?: RouteAuth;
  /** Permanent replies after which the next host is tried nevertheless. */
  readonly nextHostOn?: readonly number[];
  /** Of each destination. */
  readonly flow?: FlowLimits;
  /** Of all destinations of the route. */
  readonly together?: FlowLimits & { readonly maxConnections?: number };
}

export type SmtpRoute =
  | (SmtpRouteBase & { readonly kind: 'hosts'; readonly hosts: readonly RouteHost[] })
  | (SmtpRouteBase & { readonly kind: 'mx'; readonly port?: number });

export type FileFormat = 'maildir' | 'mbox' | 'eml';

export type FileRoute = RouteBase & {
  readonly kind: 'file';
  readonly format: FileFormat;
  /** Absolute path. */
  readonly directory: string;
};

/** Takes everything and keeps nothing: for tests and measurements. */
export type BlackholeRoute = RouteBase & { readonly kind: 'blackhole' };

export type RouteDefinition = SmtpRoute | FileRoute | BlackholeRoute;

/** Five days in all, as RFC 5321 s4.5.4.1 advises. */
export const DEFAULT_RETRY: RetryProfile = {
  firstMs: 300_000,
  factor: 2,
  longestMs: 7_200_000,
  giveUpMs: 432_000_000,
};
