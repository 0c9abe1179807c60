/** The shape of `listeners`: where the gateway listens, and what it offers there. */
import { z } from 'zod';
import { oneOrMore, text, waive, whole } from './schema-parts.js';

export const listenerSchema = z.strictObject(
  {
    address: oneOrMore(text('an IP address', 64), 'an IP address or a list of them').optional(),
    port: whole(0, 65_535, 'a port number from 0 to 65535'),
    exposure: z.enum(['internet', 'internal'], { error: '`internet` or `internal`' }),
    waive: waive.optional(),
  },
  { error: 'the keys of a listener: `port`, `exposure` and, if need be, `address`' },
);
