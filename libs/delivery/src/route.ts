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
}

export interface RouteHost {
  /** Name, IPv4 or IPv6 address (brackets allowed). */
  readonly host: string;
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

interface SmtpRouteBase extends RouteBase {
  /** Source address on a machine with several. */
  readonly localAddress?: string;
  /** Permanent replies after which the next host is tried nevertheless. */
  readonly nextHostOn?: readonly number[];
}

export type SmtpRoute =
  | (SmtpRouteBase & { readonly kind: 'hosts'; readonly hosts: readonly RouteHost[] })
  | (SmtpRouteBase & { readonly kind: 'mx'; readonly port?: number });

export type FileRoute = RouteBase & {
  readonly kind: 'file';
  readonly format: 'maildir';
  /** Absolute path. */
  readonly directory: string;
};

export type RouteDefinition = SmtpRoute | FileRoute;

/** Five days in all, as RFC 5321 s4.5.4.1 advises. */
export const DEFAULT_RETRY: RetryProfile = {
  firstMs: 300_000,
  factor: 2,
  longestMs: 7_200_000,
  giveUpMs: 432_000_000,
};
