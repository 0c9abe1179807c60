/**
 * The shape of a policy document, as a zod schema: what may be written where. Its sense (names that must exist,
 * facts that must be known in a phase, relay rights) is the compiler's and the analyser's business.
 *
 * Every `error` says what was expected; document-faults.ts turns it into a finding.
 */
import { z } from 'zod';
import { conditionsSchema, givenSchema, neverSchema, type Conditions, type GivenValue } from './conditions-schema.js';
import { ACL_PHASES, type AclPhase } from './vocabulary.js';
import { listenerSchema } from './document-listeners.js';
import { date, duration, flag, name, oneOrMore, size, text, values, waive, whole } from './schema-parts.js';

const within = z.union(
  [
    z.strictObject({ domain: text('the name of a domain list') }),
    z.strictObject({ network: text('the name of a network list') }),
  ],
  { error: '`{ domain: LIST }` or `{ network: LIST }`' },
);

const list = z.strictObject(
  {
    type: z.enum(['address', 'domain', 'network', 'word', 'regex'], {
      error: '`address`, `domain`, `network`, `word` or `regex`',
    }),
    description: text('a text').optional(),
    entries: z.array(text('a text (write quotes around numbers)', 1000), { error: 'a list of texts' }).optional(),
    source: z.literal('managed', { error: '`managed`' }).optional(),
    within: within.optional(),
    use: z.literal('deny', { error: '`deny`' }).optional(),
  },
  { error: 'the keys of a list: `type` and either `entries` or `source: managed`' },
);

const client = z.strictObject(
  {
    name,
    match: conditionsSchema('helo', ['tag', 'client']),
    relay: z
      .union([z.literal('anywhere'), z.strictObject({ to: values })], { error: '`anywhere` or `{ to: LIST }`' })
      .optional(),
    senders: values.optional(),
    waive: waive.optional(),
  },
  { error: 'the keys of a client: `name`, `match` and, if need be, `relay` and `senders`' },
);

const domainEntry = z.strictObject(
  {
    match: values,
    recipients: text('the name of an address list, or `any` with a `reason`'),
    reason: text('why every recipient is accepted').optional(),
  },
  { error: 'the keys `match` and `recipients`' },
);

const ruleMetadata = {
  expires: date.optional(),
  owner: text('a name').optional(),
  reason: text('a text').optional(),
};

const replyText = (verb: 'reject' | 'defer'): z.ZodString =>
  text(verb === 'reject' ? 'a reply such as `550 5.7.1 Text`' : 'a reply such as `451 4.7.1 Text`');

function ruleSchema(phase: AclPhase): z.ZodType<RuleDocument> {
  const shape = {
    name,
    when: conditionsSchema(phase).optional(),
    unless: conditionsSchema(phase).optional(),
    accept: flag('`true`').optional(),
    reject: replyText('reject').optional(),
    defer: replyText('defer').optional(),
    tag: oneOrMore(name, 'a tag or a list of tags').optional(),
    'on-unknown': z.enum(['defer', 'skip', 'match'], { error: '`defer`, `skip` or `match`' }).optional(),
    mode: z.literal('monitor', { error: '`monitor`' }).optional(),
    ...ruleMetadata,
  };
  const answer = z.enum(['now', 'at-rcpt'], { error: '`now` or `at-rcpt`' }).optional();
  const expected = { error: 'a rule: `name`, conditions and what to do' };
  return phase === 'rcpt' ? z.strictObject(shape, expected) : z.strictObject({ ...shape, answer }, expected);
}

const rewriting = z.strictObject(
  {
    name,
    recipient: z.strictObject(
      {
        from: text('an address or `*@domain`'),
        to: text('an address or `{local}@domain`'),
      },
      { error: '`{ from: ADDRESS, to: ADDRESS }`' },
    ),
    external: z.literal('allowed', { error: '`allowed`' }).optional(),
    owner: text('a name').optional(),
    reason: text('a text').optional(),
  },
  { error: 'the keys `name` and `recipient`' },
);

const routingRule = z.strictObject(
  {
    name,
    when: conditionsSchema('routing').optional(),
    unless: conditionsSchema('routing').optional(),
    route: name,
    ...ruleMetadata,
  },
  { error: 'a routing rule: `name`, conditions and `route`' },
);

const host = z.strictObject(
  {
    host: text('a host name or an IP address', 255),
    port: whole(1, 65_535, 'a port number from 1 to 65535').optional(),
    priority: whole(0, 65_535, 'a number from 0 to 65535, lowest first').optional(),
    weight: whole(1, 65_535, 'a number from 1 to 65535').optional(),
  },
  { error: '`{ host: NAME }` with, if need be, `port`, `priority` and `weight`' },
);

const route = z.strictObject(
  {
    description: text('a text').optional(),
    hosts: z.array(host, { error: 'a list of hosts' }).min(1, { error: 'at least one host' }).optional(),
    mx: flag('`true`').optional(),
    file: z
      .strictObject(
        {
          format: z.literal('maildir', { error: '`maildir`' }),
          directory: text('a directory below the mail directory', 255),
        },
        { error: '`{ format: maildir, directory: NAME }`' },
      )
      .optional(),
    'next-host-on': z
      .array(whole(500, 599, 'a reply code from 500 to 599'), { error: 'a list of reply codes' })
      .min(1, { error: 'at least one reply code' })
      .optional(),
    retry: name.optional(),
    limits: z
      .strictObject(
        { connections: whole(1, 10_000, 'a number from 1 to 10000').optional() },
        { error: '`{ connections: NUMBER }`' },
      )
      .optional(),
  },
  { error: 'a route: one of `hosts`, `mx` and `file`' },
);

const retry = z.strictObject(
  {
    first: duration.optional(),
    factor: z
      .number({ error: 'a number from 1 to 10' })
      .min(1, { error: 'a number from 1 to 10' })
      .max(10, { error: 'a number from 1 to 10' })
      .optional(),
    longest: duration.optional(),
    'give-up': duration.optional(),
  },
  { error: 'the keys `first`, `factor`, `longest` and `give-up`' },
);

const settings = z.strictObject(
  {
    'max-message-size': size.optional(),
    'max-recipients': whole(1, 100_000, 'a number from 1 to 100000').optional(),
    'max-connections': whole(1, 100_000, 'a number from 1 to 100000').optional(),
    'max-connections-per-address': whole(1, 100_000, 'a number from 1 to 100000').optional(),
    'postmaster-domain': text('a domain of `domains`').optional(),
  },
  { error: 'settings' },
);

const VERDICT_EXPECTED = '`accept`, `reject` or `defer`';
const verdict = z.enum(['accept', 'reject', 'defer'], { error: VERDICT_EXPECTED });

const test = z.strictObject(
  {
    name: text('what is tested, in words', 200),
    given: givenSchema(),
    expect: z.strictObject(
      {
        verdict,
        by: z.string({ error: 'the id of a rule such as `rcpt/leaver`' }).max(200).optional(),
        route: name.optional(),
        client: name.optional(),
        recipient: text('an address').optional(),
        code: whole(400, 599, 'a reply code').optional(),
        tag: oneOrMore(name, 'a tag or a list of tags').optional(),
      },
      { error: 'what to expect: `verdict` and, if need be, `by`, `route`, `client`, `recipient`, `code`, `tag`' },
    ),
  },
  { error: 'a test: `name`, `given` and `expect`' },
);

const invariant = z.strictObject(
  { name: text('what must never happen, in words', 200), never: neverSchema(verdict) },
  { error: 'an invariant: `name` and `never`' },
);

const named = <T extends z.ZodType>(item: T, expected: string): z.ZodRecord<z.ZodString, T> =>
  z.record(name, item, { error: expected });
const many = <T extends z.ZodType>(item: T, expected: string): z.ZodArray<T> => z.array(item, { error: expected });

const RULES_EXPECTED = 'a list of rules';
const aclShape = Object.fromEntries(
  ACL_PHASES.map((phase) => [phase, many(ruleSchema(phase), RULES_EXPECTED).optional()]),
) as Record<AclPhase, z.ZodOptional<z.ZodArray<z.ZodType<RuleDocument>>>>;

export const policySchema = z.strictObject(
  {
    policy: name,
    description: text('a text', 2000).optional(),
    listeners: named(listenerSchema, 'listeners by name').refine((all) => Object.keys(all).length > 0, {
      error: 'at least one listener',
    }),
    lists: named(list, 'lists by name').optional(),
    clients: many(client, 'a list of clients').optional(),
    domains: many(domainEntry, 'a list of domains').optional(),
    acl: z
      .strictObject(aclShape, { error: `rules by phase: ${ACL_PHASES.map((phase) => `\`${phase}\``).join(', ')}` })
      .optional(),
    rewriting: many(rewriting, 'a list of rewriting entries').optional(),
    routing: many(routingRule, 'a list of routing rules').min(1, { error: 'at least one routing rule' }),
    routes: named(route, 'routes by name'),
    retry: named(retry, 'retry profiles by name').optional(),
    settings: settings.optional(),
    tests: many(test, 'a list of tests').optional(),
    invariants: many(invariant, 'a list of invariants').optional(),
  },
  { error: 'a policy document with the keys `policy`, `listeners`, `routing` and `routes`' },
);

/** A rule of any acl phase. */
export interface RuleDocument {
  name: string;
  when?: Conditions | undefined;
  unless?: Conditions | undefined;
  accept?: true | undefined;
  reject?: string | undefined;
  defer?: string | undefined;
  tag?: string | string[] | undefined;
  'on-unknown'?: 'defer' | 'skip' | 'match' | undefined;
  mode?: 'monitor' | undefined;
  answer?: 'now' | 'at-rcpt' | undefined;
  expires?: string | undefined;
  owner?: string | undefined;
  reason?: string | undefined;
}

export type PolicyDocument = z.infer<typeof policySchema>;
export type ListenerDocument = z.infer<typeof listenerSchema>;
export type ListDocument = z.infer<typeof list>;
export type ClientDocument = z.infer<typeof client>;
export type RouteDocument = z.infer<typeof route>;
export type TestDocument = z.infer<typeof test>;
export type InvariantDocument = z.infer<typeof invariant>;
export type { Conditions, GivenValue };

/** The JSON Schema of a policy document, generated from the same schema that checks it. */
export function policyJsonSchema(): Record<string, unknown> {
  const schema = z.toJSONSchema(policySchema, { target: 'draft-2020-12', io: 'input', reused: 'ref' });
  return { ...schema, title: 'Postern policy', $id: 'https://postern.invalid/policy.schema.json' };
}
