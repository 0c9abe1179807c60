/**
 * The gateway's deployment settings: read once from the environment, checked, frozen.
 *
 * Mail decisions live in the policy, not here. A message names the variable and what was expected, never its value.
 */
import { hostname } from 'node:os';
import { isIP } from 'node:net';
import { isAbsolute, join } from 'node:path';
import { z } from 'zod';

const MEBIBYTE = 1024 * 1024;

const hostName = z
  .string()
  .max(255)
  .regex(
    /^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/i,
    'expected a host name such as `mx.example.com`',
  );

const integer = (from: number, to: number): z.ZodType<number> =>
  z
    .string()
    .regex(/^\d{1,15}$/, `expected a whole number from ${String(from)} to ${String(to)}`)
    .transform(Number)
    .refine((n) => n >= from && n <= to, `expected a whole number from ${String(from)} to ${String(to)}`);

const ENVIRONMENT = z.object({
  DATABASE_URL: z.string().regex(/^postgres(ql)?:\/\//, 'expected `postgresql://user@host/database`'),
  /** Its own role; where there is none, that of DATABASE_URL. */
  GATEWAY_DATABASE_URL: z
    .string()
    .regex(/^postgres(ql)?:\/\//, 'expected `postgresql://user@host/database`')
    .optional(),
  POSTERN_DATA_DIR: z.string().refine(isAbsolute, 'expected an absolute path'),
  POSTERN_SECRET_KEY_FILE: z.string().refine(isAbsolute, 'expected an absolute path').optional(),
  GATEWAY_HOSTNAME: hostName.default(defaultHostName),
  GATEWAY_NODE_NAME: z
    .string()
    .regex(/^[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}$/, 'expected 1 to 63 letters, digits, `.`, `_` or `-`')
    .default('gateway'),
  GATEWAY_LOG_LEVEL: z
    .enum(['debug', 'info', 'warn', 'error', 'silent'], 'expected `debug`, `info`, `warn`, `error` or `silent`')
    .default('info'),
  /** Content larger than this is written to the spool while it arrives. */
  GATEWAY_INLINE_CONTENT_BYTES: integer(1024, MEBIBYTE).default(65_536),
  /** Where larger content goes: files here, or chunks in the database that every gateway can read. */
  GATEWAY_BODY_STORE: z.enum(['spool', 'database'], 'expected `spool` or `database`').default('spool'),
  /** Content of all sessions and of mail waiting for its first attempt that may be held in memory. */
  GATEWAY_MEMORY_BYTES: integer(MEBIBYTE, 64 * 1024 * MEBIBYTE).default(128 * MEBIBYTE),
  /** One folder per certificate. */
  GATEWAY_CERTIFICATE_DIR: z.string().refine(isAbsolute, 'expected an absolute path').optional(),
  GATEWAY_STOP_GRACE_MS: integer(0, 600_000).default(10_000),
  /** `/metrics`, `/healthz` and `/readyz`; off without a port. Of several workers each has the next one. */
  GATEWAY_METRICS_PORT: integer(0, 65_535).optional(),
  GATEWAY_METRICS_HOST: z
    .string()
    .refine((text) => isIP(text) !== 0, 'expected an address of this machine such as `127.0.0.1`')
    .default('127.0.0.1'),
  /** Processes that share the listeners. */
  GATEWAY_WORKERS: integer(1, 64).default(1),
  /** Name servers for MX look-ups, separated by commas; empty means those of the system. */
  GATEWAY_DNS_SERVERS: z
    .string()
    .regex(/^[0-9a-fA-F.:[\],]*$/, 'expected addresses separated by commas, each with an optional port')
    .default('')
    .transform((text) => text.split(',').filter((part) => part !== '')),
});

export interface GatewayConfig {
  readonly databaseUrl: string;
  readonly dataDir: string;
  readonly secretKeyFile: string;
  readonly hostname: string;
  readonly nodeName: string;
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error' | 'silent';
  readonly inlineContentBytes: number;
  readonly bodyStore: 'spool' | 'database';
  /** This process's share. */
  readonly memoryBytes: number;
  readonly certificateDir: string;
  readonly stopGraceMs: number;
  readonly dnsServers: readonly string[];
  readonly workers: number;
  /** Where machines read figures and health; undefined: nowhere. */
  readonly metrics: { readonly host: string; readonly port: number } | undefined;
}

export type ConfigResult =
  { readonly ok: true; readonly config: GatewayConfig } | { readonly ok: false; readonly faults: readonly string[] };

/** Reads the settings from `environment`; every fault is reported, not only the first. */
export function readGatewayConfig(environment: Readonly<Record<string, string | undefined>>): ConfigResult {
  const unknown = Object.keys(environment).filter(
    (name) => name.startsWith('GATEWAY_') && !(name in ENVIRONMENT.shape),
  );
  const faults = unknown.map((name) => `\`${name}\` is not a setting of the gateway; known are ${knownNames()}`);
  const parsed = ENVIRONMENT.safeParse(environment);
  if (!parsed.success) {
    faults.push(...parsed.error.issues.map((issue) => `\`${issue.path.join('.')}\`: ${expectation(issue)}`));
  }
  if (!parsed.success || faults.length > 0) return { ok: false, faults };
  const values = parsed.data;
  return {
    ok: true,
    config: Object.freeze({
      databaseUrl: values.GATEWAY_DATABASE_URL ?? values.DATABASE_URL,
      dataDir: values.POSTERN_DATA_DIR,
      secretKeyFile: values.POSTERN_SECRET_KEY_FILE ?? join(values.POSTERN_DATA_DIR, 'secret-key'),
      hostname: values.GATEWAY_HOSTNAME.toLowerCase(),
      nodeName: values.GATEWAY_NODE_NAME,
      logLevel: values.GATEWAY_LOG_LEVEL,
      inlineContentBytes: values.GATEWAY_INLINE_CONTENT_BYTES,
      bodyStore: values.GATEWAY_BODY_STORE,
      memoryBytes: Math.floor(values.GATEWAY_MEMORY_BYTES / values.GATEWAY_WORKERS),
      certificateDir: values.GATEWAY_CERTIFICATE_DIR ?? join(values.POSTERN_DATA_DIR, 'certificates'),
      stopGraceMs: values.GATEWAY_STOP_GRACE_MS,
      dnsServers: values.GATEWAY_DNS_SERVERS,
      workers: values.GATEWAY_WORKERS,
      metrics:
        values.GATEWAY_METRICS_PORT === undefined
          ? undefined
          : { host: values.GATEWAY_METRICS_HOST, port: values.GATEWAY_METRICS_PORT },
    }),
  };
}

const MEANINGS: Readonly<Record<keyof typeof ENVIRONMENT.shape, readonly [fallback: string, meaning: string]>> = {
  DATABASE_URL: ['set by `npm start`', 'PostgreSQL, 15 or newer'],
  GATEWAY_DATABASE_URL: ['`DATABASE_URL`', 'the same database as a role of its own; see docs/operations.md'],
  POSTERN_DATA_DIR: ['set by `npm start`', 'absolute path of the data directory'],
  POSTERN_SECRET_KEY_FILE: [
    '`secret-key` in the data directory',
    'absolute path of the key that secrets are sealed with',
  ],
  GATEWAY_HOSTNAME: ['name of the machine', 'name in the greeting, in EHLO and in `Received`'],
  GATEWAY_NODE_NAME: ['set by `npm start`', 'name of this gateway among those that share the database'],
  GATEWAY_LOG_LEVEL: ['`info`', '`debug`, `info`, `warn`, `error` or `silent`'],
  GATEWAY_INLINE_CONTENT_BYTES: ['`65536`', 'larger content is written to the spool while it arrives'],
  GATEWAY_BODY_STORE: [
    '`spool`',
    'where larger content goes: `spool` (files here) or `database` (for several gateways)',
  ],
  GATEWAY_MEMORY_BYTES: ['`134217728`', 'content held in memory, of all sessions, and again of mail not yet tried'],
  GATEWAY_CERTIFICATE_DIR: [
    '`certificates` in the data directory',
    'one folder per certificate, with `certificate.pem` and `key.pem`',
  ],
  GATEWAY_STOP_GRACE_MS: ['`10000`', 'time for transactions and attempts in progress to end when the gateway stops'],
  GATEWAY_METRICS_PORT: ['off', 'port for `/metrics` (Prometheus), `/healthz` and `/readyz`; see docs/operations.md'],
  GATEWAY_METRICS_HOST: ['`127.0.0.1`', 'address of that port; it asks for no key'],
  GATEWAY_WORKERS: [
    '`1`',
    'processes that share the listeners, each a gateway of its own; see docs/operations.md before you raise it',
  ],
  GATEWAY_DNS_SERVERS: ['those of the system', 'name servers for all look-ups, separated by commas'],
};

/** The settings as a Markdown table, for docs/config.md. */
export function renderConfig(): string {
  const rows = Object.entries(MEANINGS).map(
    ([name, [fallback, meaning]]) => `| \`${name}\` | ${fallback} | ${meaning} |`,
  );
  return ['| Variable | Default | |', '| --- | --- | --- |', ...rows].join('\n');
}

function expectation(issue: { readonly code: string; readonly message: string }): string {
  return issue.code === 'invalid_type' ? 'is missing and has no default' : issue.message;
}

function knownNames(): string {
  return Object.keys(ENVIRONMENT.shape)
    .filter((name) => name.startsWith('GATEWAY_'))
    .join(', ');
}

/** The machine's own name where it is one that SMTP can say, otherwise `localhost`. */
function defaultHostName(): string {
  const name = hostname();
  return hostName.safeParse(name).success ? name : 'localhost';
}
