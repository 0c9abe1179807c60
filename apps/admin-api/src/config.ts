import { isAbsolute, join } from 'node:path';
import { z } from 'zod';

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;

function wholeNumber(lowest: number, highest: number, expected: string): z.ZodType<number, string> {
  return z
    .string()
    .refine((text) => /^\d{1,12}$/u.test(text) && Number(text) >= lowest && Number(text) <= highest, expected)
    .transform(Number);
}

const MiB = 1024 * 1024;

/** The environment of the admin API and of the one-shot setup. Each message says what was expected, never what came. */
const ENVIRONMENT = z.object({
  DATABASE_URL: z
    .string('expected `postgresql://…`')
    .regex(/^postgres(ql)?:\/\//u, 'expected an address that starts with `postgresql://`'),
  POSTERN_DATA_DIR: z
    .string('expected the absolute path of the data directory')
    .refine((path) => isAbsolute(path), 'expected an absolute path'),
  POSTERN_SECRET_KEY_FILE: z
    .string()
    .refine((path) => isAbsolute(path), 'expected an absolute path')
    .optional(),
  /** Its own role; where there is none, that of DATABASE_URL. */
  ADMIN_API_DATABASE_URL: z
    .string()
    .regex(/^postgres(ql)?:\/\//u, 'expected an address that starts with `postgresql://`')
    .optional(),
  /** Read by setup, which grants its role what a gateway needs. */
  GATEWAY_DATABASE_URL: z
    .string()
    .regex(/^postgres(ql)?:\/\//u, 'expected an address that starts with `postgresql://`')
    .optional(),
  POSTERN_AUDIT_DAYS: wholeNumber(6, 36_500, 'expected days from 6 to 36500').default(365),
  POSTERN_CONTENT_DAYS: wholeNumber(6, 36_500, 'expected days from 6 to 36500').default(30),
  ADMIN_API_HOST: z.string().min(1, 'expected an address to listen on').default('127.0.0.1'),
  ADMIN_API_PORT: wholeNumber(0, 65_535, 'expected a port from 0 (any) to 65535').default(8025),
  ADMIN_LOG_LEVEL: z.enum(LOG_LEVELS, `expected one of ${LOG_LEVELS.join(', ')}`).default('info'),
  ADMIN_MAX_POLICY_BYTES: wholeNumber(1024, 64 * MiB, 'expected octets from 1024 to 67108864').default(4 * MiB),
  ADMIN_MAX_REQUESTS_PER_SECOND: wholeNumber(1, 1_000_000, 'expected requests from 1 to 1000000').default(2_000),
  ADMIN_REQUIRED_APPROVALS: wholeNumber(0, 5, 'expected a number from 0 to 5').default(0),
  POSTERN_FIRST_POLICY: z.string().min(1, 'expected the path of a policy file').optional(),
  POSTERN_PUBLISH_POLICY: z.string().min(1, 'expected the path of a policy file').optional(),
});

export interface AdminApiConfig {
  readonly databaseUrl: string;
  /** For setup: of the role that owns the tables. */
  readonly ownerDatabaseUrl: string;
  readonly gatewayDatabaseUrl?: string;
  readonly auditDays: number;
  readonly contentDays: number;
  readonly dataDir: string;
  readonly secretKeyFile: string;
  /** Whether it was named: then it must be there, and is not made. */
  readonly secretKeyFileNamed: boolean;
  readonly host: string;
  readonly port: number;
  readonly logLevel: (typeof LOG_LEVELS)[number];
  readonly maxPolicyBytes: number;
  readonly maxRequestsPerSecond: number;
  readonly requiredApprovals: number;
  readonly firstPolicyFile?: string;
  readonly publishPolicyFile?: string;
}

export type ConfigResult =
  { readonly ok: true; readonly config: AdminApiConfig } | { readonly ok: false; readonly faults: readonly string[] };

export function readConfig(environment: Readonly<Record<string, string | undefined>>): ConfigResult {
  const known = Object.keys(ENVIRONMENT.shape);
  const faults = Object.keys(environment)
    .filter((name) => name.startsWith('ADMIN_') && !known.includes(name))
    .map(
      (name) => `\`${name}\`: unknown setting; there are ${known.filter((it) => it.startsWith('ADMIN_')).join(', ')}`,
    );
  const given = Object.fromEntries(known.flatMap((name) => (environment[name] ? [[name, environment[name]]] : [])));
  const read = ENVIRONMENT.safeParse(given);
  if (!read.success) faults.push(...read.error.issues.map((issue) => `\`${issue.path.join('.')}\`: ${issue.message}`));
  if (!read.success || faults.length > 0) return { ok: false, faults };
  const env = read.data;
  const config: AdminApiConfig = {
    databaseUrl: env.ADMIN_API_DATABASE_URL ?? env.DATABASE_URL,
    ownerDatabaseUrl: env.DATABASE_URL,
    ...(env.GATEWAY_DATABASE_URL !== undefined && { gatewayDatabaseUrl: env.GATEWAY_DATABASE_URL }),
    auditDays: env.POSTERN_AUDIT_DAYS,
    contentDays: env.POSTERN_CONTENT_DAYS,
    dataDir: env.POSTERN_DATA_DIR,
    secretKeyFile: env.POSTERN_SECRET_KEY_FILE ?? join(env.POSTERN_DATA_DIR, 'secret-key'),
    secretKeyFileNamed: env.POSTERN_SECRET_KEY_FILE !== undefined,
    host: env.ADMIN_API_HOST,
    port: env.ADMIN_API_PORT,
    logLevel: env.ADMIN_LOG_LEVEL,
    maxPolicyBytes: env.ADMIN_MAX_POLICY_BYTES,
    maxRequestsPerSecond: env.ADMIN_MAX_REQUESTS_PER_SECOND,
    requiredApprovals: env.ADMIN_REQUIRED_APPROVALS,
    ...(env.POSTERN_FIRST_POLICY !== undefined && { firstPolicyFile: env.POSTERN_FIRST_POLICY }),
    ...(env.POSTERN_PUBLISH_POLICY !== undefined && { publishPolicyFile: env.POSTERN_PUBLISH_POLICY }),
  };
  return { ok: true, config: Object.freeze(config) };
}

const MEANINGS: Readonly<Record<keyof typeof ENVIRONMENT.shape, readonly [fallback: string, meaning: string]>> = {
  DATABASE_URL: ['set by `npm start`', 'PostgreSQL, 15 or newer'],
  POSTERN_DATA_DIR: ['set by `npm start`', 'absolute path of the data directory'],
  POSTERN_SECRET_KEY_FILE: [
    '`secret-key` in the data directory',
    'absolute path of the key that secrets are sealed with',
  ],
  ADMIN_API_DATABASE_URL: ['`DATABASE_URL`', 'the same database as a role of its own; see docs/operations.md'],
  GATEWAY_DATABASE_URL: ['', 'role that is granted what a gateway needs, by the start'],
  POSTERN_AUDIT_DAYS: ['`365`', 'days the audit is kept, at least 6; set at the start'],
  POSTERN_CONTENT_DAYS: ['`30`', 'days mail is kept, at least 6, and as long as it waits; set at the start'],
  ADMIN_API_HOST: ['`127.0.0.1`', 'address to listen on'],
  ADMIN_API_PORT: ['`8025`', 'port; 0 = any free one'],
  ADMIN_LOG_LEVEL: ['`info`', `one of ${LOG_LEVELS.map((level) => `\`${level}\``).join(', ')}`],
  ADMIN_MAX_POLICY_BYTES: ['`4194304`', 'octets of the largest policy'],
  ADMIN_MAX_REQUESTS_PER_SECOND: ['`2000`', 'requests of one API key, on average over ten seconds'],
  ADMIN_REQUIRED_APPROVALS: [
    '`0`',
    'how many people must approve a policy that somebody else wrote before it can be live, from 0 to 5',
  ],
  POSTERN_FIRST_POLICY: [
    'the one in `examples/policies/first-start`',
    'file published when the database has no policy',
  ],
  POSTERN_PUBLISH_POLICY: ['', 'file published at every start where another policy is live'],
};

/** The settings as a Markdown table, for docs/config.md. */
export function renderConfig(): string {
  const rows = Object.entries(MEANINGS).map(
    ([name, [fallback, meaning]]) => `| \`${name}\` | ${fallback} | ${meaning} |`,
  );
  return ['| Variable | Default | |', '| --- | --- | --- |', ...rows].join('\n');
}
