/** The shape of `signing` and of `sealing`: whose key, under which name in the DNS, and for which mail. */
import { z } from 'zod';
import { conditionsSchema, type Conditions } from './conditions-schema.js';
import { secret, text } from './schema-parts.js';

const SELECTOR_EXPECTED = 'a selector such as `s1` (write quotes around numbers)';
/** RFC 6376 s3.1: labels of a domain name. */
const SELECTOR = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/;

export interface SigningDocument {
  domain: string;
  selector: string;
  key: string;
  when?: Conditions | undefined;
  unless?: Conditions | undefined;
}

export const signingSchema: z.ZodType<SigningDocument> = z.strictObject(
  {
    domain: text('a domain such as `example.com`', 255),
    selector: z
      .string({ error: SELECTOR_EXPECTED })
      .max(128, { error: SELECTOR_EXPECTED })
      .regex(SELECTOR, { error: SELECTOR_EXPECTED }),
    key: secret,
    when: conditionsSchema('routing').optional(),
    unless: conditionsSchema('routing').optional(),
  },
  { error: 'the keys `domain`, `selector`, `key` and, if need be, conditions' },
);

/** `example.com/s1`: as tests, findings and the audit name it. */
export const signatureName = text('`DOMAIN/SELECTOR` as in `example.com/s1`, or `none`', 400);
