/** The shape of `routes`, and of the profiles they name: `tls` and `retry`. */
import { z } from 'zod';
import { duration, flag, name, oneOrMore, secret, text, whole } from './schema-parts.js';

const HOST_EXPECTED = '`{ host: NAME }` with, if need be, `port`, `priority` and `weight`; or `{ socket: PATH }`';
const host = z.strictObject(
  {
    host: text('a host name or an IP address', 255).optional(),
    socket: text('the path of a socket on this machine', 100).optional(),
    port: whole(1, 65_535, 'a port number from 1 to 65535').optional(),
    priority: whole(0, 65_535, 'a number from 0 to 65535, lowest first').optional(),
    weight: whole(1, 65_535, 'a number from 1 to 65535').optional(),
  },
  { error: HOST_EXPECTED },
);

const FORMAT_EXPECTED = '`maildir`, `mbox` or `eml`';
const file = z.strictObject(
  {
    format: z.enum(['maildir', 'mbox', 'eml'], { error: FORMAT_EXPECTED }),
    directory: text('a directory below the mail directory', 255),
  },
  { error: '`{ format: maildir, directory: NAME }`' },
);

const AUTH_EXPECTED = '`secret/NAME`, or `{ username, password: secret/NAME, unverified-tls }`';
const auth = z.union(
  [
    secret,
    z.strictObject(
      {
        username: text('a user name', 255).optional(),
        password: secret,
        'unverified-tls': z.literal('allowed', { error: '`allowed`' }).optional(),
      },
      { error: AUTH_EXPECTED },
    ),
  ],
  { error: AUTH_EXPECTED },
);

const SOURCE_EXPECTED = 'an IP address of this machine, or one for each family';
const REQUIRE_EXPECTED = '`none`, `opportunistic`, `encrypted` or `verified`';
export const tlsRequirement = z.enum(['none', 'opportunistic', 'encrypted', 'verified'], { error: REQUIRE_EXPECTED });

const FLOW_EXPECTED = '`{ max: NUMBER, per: DURATION }`';
const flow = z.strictObject(
  { max: whole(1, 1_000_000_000, 'a number from 1 to 1000000000'), per: duration },
  { error: FLOW_EXPECTED },
);
const connections = whole(1, 10_000, 'a number from 1 to 10000');
const flows = { connections: connections.optional(), messages: flow.optional(), recipients: flow.optional() };
const LIMITS_EXPECTED = '`connections: NUMBER`, `messages` and `recipients` as `{ max: NUMBER, per: DURATION }`';
const limits = z.strictObject(
  { ...flows, together: z.strictObject(flows, { error: LIMITS_EXPECTED }).optional() },
  { error: `${LIMITS_EXPECTED}, and \`together\` with the same keys` },
);

export const routeSchema = z.strictObject(
  {
    description: text('a text').optional(),
    hosts: z.array(host, { error: 'a list of hosts' }).min(1, { error: 'at least one host' }).optional(),
    mx: flag('`true`').optional(),
    file: file.optional(),
    blackhole: flag('`true`').optional(),
    protocol: z.enum(['smtp', 'lmtp'], { error: '`smtp` or `lmtp`' }).optional(),
    tls: name.optional(),
    auth: auth.optional(),
    source: oneOrMore(text(SOURCE_EXPECTED, 64), SOURCE_EXPECTED).optional(),
    'next-host-on': z
      .array(whole(500, 599, 'a reply code from 500 to 599'), { error: 'a list of reply codes' })
      .min(1, { error: 'at least one reply code' })
      .optional(),
    retry: name.optional(),
    limits: limits.optional(),
  },
  { error: 'a route: one of `hosts`, `mx`, `file` and `blackhole`' },
);

export const tlsSchema = z.strictObject(
  {
    require: tlsRequirement,
    mode: z.enum(['starttls', 'implicit'], { error: '`starttls` or `implicit`' }).optional(),
    authorities: name.optional(),
    certificate: name.optional(),
    description: text('a text').optional(),
  },
  { error: 'a TLS profile: `require` and, if need be, `mode`, `authorities` and `certificate`' },
);

export const retrySchema = z.strictObject(
  {
    first: duration.optional(),
    factor: z
      .number({ error: 'a number from 1 to 10' })
      .min(1, { error: 'a number from 1 to 10' })
      .max(10, { error: 'a number from 1 to 10' })
      .optional(),
    longest: duration.optional(),
    'give-up': duration.optional(),
    'delay-notice': duration.optional(),
  },
  { error: 'the keys `first`, `factor`, `longest`, `give-up` and `delay-notice`' },
);

export type RouteDocument = z.infer<typeof routeSchema>;
