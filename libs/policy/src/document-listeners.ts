/** The shape of `listeners`: where the gateway listens, and what it offers there. */
import { z } from 'zod';
import { duration, flag, name, oneOrMore, text, values, waive, whole } from './schema-parts.js';

const MODE_EXPECTED = '`starttls` or `implicit`';
const tls = z.strictObject(
  {
    mode: z.enum(['starttls', 'implicit'], { error: MODE_EXPECTED }),
    certificate: name.optional(),
    required: flag('`true`').optional(),
    'client-certificates': z.literal('request', { error: '`request`' }).optional(),
  },
  { error: 'the keys `mode` and, if need be, `certificate`, `required` and `client-certificates`' },
);

const DEMAND_EXPECTED = '`required` or `offered`';
const demand = z.enum(['required', 'offered'], { error: DEMAND_EXPECTED });
const MECHANISM_EXPECTED = '`PLAIN`, `LOGIN` or `SCRAM-SHA-256`';
const mechanism = z.enum(['PLAIN', 'LOGIN', 'SCRAM-SHA-256'], { error: MECHANISM_EXPECTED });
const AUTH_EXPECTED = `${DEMAND_EXPECTED}, or \`{ mode, mechanisms, without-tls }\``;
const auth = z.union(
  [
    demand,
    z.strictObject(
      {
        mode: demand,
        mechanisms: z.array(mechanism, { error: MECHANISM_EXPECTED }).min(1, { error: MECHANISM_EXPECTED }).optional(),
        'without-tls': z.literal('allowed', { error: '`allowed`' }).optional(),
      },
      { error: AUTH_EXPECTED },
    ),
  ],
  { error: AUTH_EXPECTED },
);

/** A missing `from` is an open door (R1), which the analyser says. */
const spokesmen = z.strictObject({ from: values.optional() }, { error: '`{ from: LIST }`' });

export const listenerSchema = z.strictObject(
  {
    address: oneOrMore(text('an IP address', 64), 'an IP address or a list of them').optional(),
    port: whole(0, 65_535, 'a port number from 0 to 65535'),
    exposure: z.enum(['internet', 'internal'], { error: '`internet` or `internal`' }),
    tls: tls.optional(),
    auth: auth.optional(),
    'proxy-protocol': spokesmen.optional(),
    xclient: spokesmen.optional(),
    'greeting-delay': duration.optional(),
    waive: waive.optional(),
  },
  { error: 'the keys of a listener: `port`, `exposure` and, if need be, `address`, `tls`, `auth` and others' },
);
