/** The shape of rules: of every acl phase, and of `copies`. */
import { z } from 'zod';
import { conditionsSchema, type Conditions } from './conditions-schema.js';
import { date, duration, flag, name, oneOrMore, text } from './schema-parts.js';
import type { AclPhase } from './vocabulary.js';

export const ruleMetadata = {
  expires: date.optional(),
  owner: text('a name').optional(),
  reason: text('a text').optional(),
};

const replyText = (verb: 'reject' | 'defer'): z.ZodString =>
  text(verb === 'reject' ? 'a reply such as `550 5.7.1 Text`' : 'a reply such as `451 4.7.1 Text`');

const fields = (expected: string): z.ZodType<Record<string, string>> =>
  z.record(z.string(), text(expected, 900), { error: 'fields by name such as `{ X-Origin: external }`' });

/** Effects on who gets the mail. */
const recipientEffects = {
  'add-recipient': oneOrMore(text('an address'), 'an address or a list of them').optional(),
  redirect: text('an address').optional(),
  external: z.literal('allowed', { error: '`allowed`' }).optional(),
};

const contentVerdictsAndEffects = {
  hold: text('the name of a review queue', 64).optional(),
  discard: flag('`true`').optional(),
  'set-header': fields('the value of the field').optional(),
  'add-header': fields('the value of the field').optional(),
  'remove-header': oneOrMore(text('the name of a field', 64), 'the name of a field or a list of them').optional(),
};

const GREYLIST_EXPECTED = '`{ delay: 5m, remember: 35d }`';
const greylist = z.strictObject({ delay: duration, remember: duration }, { error: GREYLIST_EXPECTED });

/** `headers`: names of the facts `header.<name>` that the document asks for. */
export function ruleSchema(phase: AclPhase, headers: readonly string[] = []): z.ZodType<RuleDocument> {
  const conditions = conditionsSchema(phase, [], phase === 'message' ? headers : []);
  const shape = {
    name,
    when: conditions.optional(),
    unless: conditions.optional(),
    accept: flag('`true`').optional(),
    reject: replyText('reject').optional(),
    defer: replyText('defer').optional(),
    tag: oneOrMore(name, 'a tag or a list of tags').optional(),
    'on-unknown': z.enum(['defer', 'skip', 'match'], { error: '`defer`, `skip` or `match`' }).optional(),
    mode: z.literal('monitor', { error: '`monitor`' }).optional(),
    ...ruleMetadata,
  };
  const expected = { error: 'a rule: `name`, conditions and what to do' };
  if (phase === 'message') {
    return z.strictObject({ ...shape, ...contentVerdictsAndEffects, ...recipientEffects }, expected);
  }
  if (phase === 'rcpt')
    return z.strictObject({ ...shape, greylist: greylist.optional(), ...recipientEffects }, expected);
  const answer = z.enum(['now', 'at-rcpt'], { error: '`now` or `at-rcpt`' }).optional();
  if (phase === 'mail') return z.strictObject({ ...shape, answer }, expected);
  return z.strictObject({ ...shape, answer, delay: duration.optional() }, expected);
}

export const copySchema = z.strictObject(
  {
    name,
    when: conditionsSchema('routing').optional(),
    unless: conditionsSchema('routing').optional(),
    route: name,
    ...ruleMetadata,
  },
  { error: 'a copy: `name`, conditions and `route`' },
);

/** A rule of any acl phase. */
export interface RuleDocument {
  name: string;
  when?: Conditions | undefined;
  unless?: Conditions | undefined;
  accept?: true | undefined;
  reject?: string | undefined;
  defer?: string | undefined;
  hold?: string | undefined;
  discard?: true | undefined;
  greylist?: { delay: string; remember: string } | undefined;
  tag?: string | string[] | undefined;
  delay?: string | undefined;
  'set-header'?: Record<string, string> | undefined;
  'add-header'?: Record<string, string> | undefined;
  'remove-header'?: string | string[] | undefined;
  'add-recipient'?: string | string[] | undefined;
  redirect?: string | undefined;
  external?: 'allowed' | undefined;
  'on-unknown'?: 'defer' | 'skip' | 'match' | undefined;
  mode?: 'monitor' | undefined;
  answer?: 'now' | 'at-rcpt' | undefined;
  expires?: string | undefined;
  owner?: string | undefined;
  reason?: string | undefined;
}

export type CopyDocument = z.infer<typeof copySchema>;
