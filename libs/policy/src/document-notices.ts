/** The shape of `notices`: what senders are told, and how often. */
import { z } from 'zod';
import { duration, text, whole } from './schema-parts.js';

const WORDS_EXPECTED = '`{ subject: TEXT, text: TEXT }`';
const words = z.strictObject(
  { subject: text('a line', 200).optional(), text: text('the words for people', 4000).optional() },
  { error: WORDS_EXPECTED },
);

const LIMIT_EXPECTED = '`{ max: NUMBER, per: DURATION }`';

export const noticesSchema = z.strictObject(
  {
    form: z.enum(['multipart', 'plain'], { error: '`multipart` or `plain`' }).optional(),
    limit: z
      .strictObject(
        { max: whole(1, 1_000_000_000, 'a number from 1 to 1000000000'), per: duration },
        { error: LIMIT_EXPECTED },
      )
      .optional(),
    failed: words.optional(),
    delayed: words.optional(),
    relayed: words.optional(),
    delivered: words.optional(),
  },
  {
    error: 'notices: `form`, `limit`, and words for `failed`, `delayed`, `relayed` and `delivered`',
  },
);

export type NoticesDocument = z.infer<typeof noticesSchema>;
