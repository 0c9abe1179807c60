/** Parts of the document's schema that several of its sections share. Every `error` says what was expected. */
import { z } from 'zod';
import { DATE_PATTERN, DURATION_PATTERN, SIZE_PATTERN } from './values/units.js';

const NAME_PATTERN = /^(?=.*[a-z])[a-z0-9]+(?:-[a-z0-9]+)*$/;
const NAME_EXPECTED = 'a name in lower-case letters, digits and hyphens';

export const text = (expected: string, max = 500): z.ZodString =>
  z
    .string({ error: expected })
    .min(1, { error: expected })
    .max(max, { error: `${expected}, at most ${String(max)} characters` });
export const name = z
  .string({ error: NAME_EXPECTED })
  .max(64, { error: NAME_EXPECTED })
  .regex(NAME_PATTERN, { error: NAME_EXPECTED });
const pattern = (expression: RegExp, expected: string): z.ZodString =>
  z.string({ error: expected }).regex(expression, { error: expected });
export const oneOrMore = (item: z.ZodString, expected: string): z.ZodType<string | string[]> =>
  z.union([item, z.array(item, { error: expected }).min(1, { error: expected })], { error: expected });
export const whole = (min: number, max: number, expected: string): z.ZodNumber =>
  z.number({ error: expected }).int({ error: expected }).min(min, { error: expected }).max(max, { error: expected });
export const flag = (expected: string): z.ZodLiteral<true> => z.literal(true, { error: expected });

export const duration = pattern(DURATION_PATTERN, 'a duration with its unit such as `90s`, `5m`, `4h` or `14d`');
export const size = pattern(SIZE_PATTERN, 'a size with its unit such as `512KiB` or `25MB`');
export const date = pattern(DATE_PATTERN, 'a date such as `2026-12-31`');

const SECRET_EXPECTED = '`secret/NAME`; passwords and keys never stand in a policy';
/** What only has its name here: the gateway knows the value from the secret store. */
export const secret = pattern(/^secret\/[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$/, SECRET_EXPECTED);

/** Names of lists, literals, or both. */
const VALUES_EXPECTED = 'the name of a list, a literal, or a list of both';
export const values = oneOrMore(text(VALUES_EXPECTED), VALUES_EXPECTED);

export const waive = z.strictObject(
  {
    finding: z.literal('R2', { error: '`R2`, the only finding that may be waived' }),
    by: text('the name of the person who answers for it'),
    on: date,
    reason: text('why it is safe here'),
  },
  { error: 'the keys `finding`, `by`, `on` and `reason`' },
);
