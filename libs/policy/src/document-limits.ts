/** The shape of `limits`. */
import { z } from 'zod';
import { duration, name, size, text, whole } from './schema-parts.js';

const COUNT_EXPECTED = '`connections`, `messages`, `recipients`, `bytes`, `rejects` or `auth-failures`';
const MAX_EXPECTED = 'a number from 1 to 1000000000, or for `bytes` a size such as `500MB`';
const EXCEED_EXPECTED = '`defer`, `reject` or `slow`';
const KEY_EXPECTED = 'a list of facts such as `[client, ip]`';

export const limitSchema = z.strictObject(
  {
    name,
    key: z.array(text('the name of a fact', 80), { error: KEY_EXPECTED }).min(1, { error: KEY_EXPECTED }),
    count: z.enum(['connections', 'messages', 'recipients', 'bytes', 'rejects', 'auth-failures'], {
      error: COUNT_EXPECTED,
    }),
    max: z.union([whole(1, 1_000_000_000, MAX_EXPECTED), size], { error: MAX_EXPECTED }),
    per: duration,
    'on-exceed': z.enum(['defer', 'reject', 'slow'], { error: EXCEED_EXPECTED }),
    owner: text('a name').optional(),
    reason: text('a text').optional(),
  },
  { error: 'a limit: `name`, `key`, `count`, `max`, `per` and `on-exceed`' },
);

export type LimitDocument = z.infer<typeof limitSchema>;
