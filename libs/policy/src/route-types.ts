/** Routes and their profiles, ready for the relay. */

export interface RetryProfile {
  readonly name: string;
  readonly firstMs: number;
  readonly factor: number;
  readonly longestMs: number;
  readonly giveUpMs: number;
  /** Age at which the sender is told that it takes longer. Absent: never. */
  readonly delayNoticeMs?: number;
}

export interface RouteHost {
  /** Lower-case A-label name, an IP address without brackets, or the absolute path of a socket. */
  readonly host: string;
  /** 0 for a socket. */
  readonly port: number;
  /** Lowest first. */
  readonly priority: number;
  /** Share among equals, at least 1. */
  readonly weight: number;
}

/** Weakest first: a floor is kept by what stands at its place or behind it. */
export const TLS_REQUIREMENTS = ['none', 'opportunistic', 'encrypted', 'verified'] as const;
export type TlsRequirement = (typeof TLS_REQUIREMENTS)[number];

export interface RouteTlsProfile {
  readonly name: string;
  readonly require: TlsRequirement;
  /** Absent: implicit on port 465, STARTTLS on every other. */
  readonly mode?: 'starttls' | 'implicit';
  /** Name of the trusted authorities among the gateway's certificates; absent: those of the system. */
  readonly authorities?: string;
  /** Name of the certificate that the gateway shows. */
  readonly certificate?: string;
}

export interface RouteAuth {
  /** Name of the secret: the password, or `username:password` where no username is given. */
  readonly secret: string;
  readonly username?: string;
  /** Credentials may go to a host that TLS has not verified. */
  readonly unverifiedTls: boolean;
}

/** At most `max` within any `perMs`, of all gateways together. */
export interface RouteRate {
  readonly max: number;
  readonly perMs: number;
}

export interface RouteRates {
  readonly messages?: RouteRate;
  readonly recipients?: RouteRate;
}

export interface RouteLimits extends RouteRates {
  /** To each destination, of each gateway. */
  readonly connections: number;
  /** Of all destinations of an `mx` route. */
  readonly together?: RouteRates & { readonly connections?: number };
}

interface RouteBase {
  readonly name: string;
  readonly retry: RetryProfile;
  readonly limits: RouteLimits;
}

interface SmtpRouteBase extends RouteBase {
  readonly protocol: 'smtp' | 'lmtp';
  /** Permanent replies (500 to 599) after which the next host is asked all the same. */
  readonly nextHostOn?: readonly number[];
  /** Source addresses, at most one of each family. */
  readonly source?: readonly string[];
  readonly tls?: RouteTlsProfile;
  readonly auth?: RouteAuth;
}

export type RouteDefinition =
  | (SmtpRouteBase & { readonly kind: 'hosts'; readonly hosts: readonly RouteHost[] })
  | (SmtpRouteBase & { readonly kind: 'mx' })
  | (RouteBase & {
      readonly kind: 'file';
      readonly format: 'maildir' | 'mbox' | 'eml';
      readonly directory: string;
    })
  | (RouteBase & { readonly kind: 'blackhole' });
