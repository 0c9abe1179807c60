/**
 * The shape of a policy document, as a zod schema: what may be written where. Its sense (names that must exist,
 * facts that must be known in a phase, relay rights) is the compiler's and the analyser's business.
 *
 * Every `error` says what was expected; document-faults.ts turns it into a finding.
 */
import { z } from 'zod';
import {
  conditionsSchema,
  givenSchema,
  neverSchema,
  type Conditions,
  type FamilyKeys,
  type GivenValue,
} from './conditions-schema.js';
import { ACL_PHASES, FACTS, type AclPhase } from './vocabulary.js';
import { limitSchema } from './document-limits.js';
import { listenerSchema } from './document-listeners.js';
import { noticesSchema } from './document-notices.js';
import { retrySchema, routeSchema, tlsRequirement, tlsSchema, type RouteDocument } from './document-routes.js';
import { copySchema, ruleMetadata, ruleSchema, type CopyDocument, type RuleDocument } from './document-rules.js';
import { signatureName, signingSchema, type SigningDocument } from './document-signing.js';
import { duration, name, oneOrMore, size, text, values, waive, whole } from './schema-parts.js';

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

/** Looked up and recorded even where no rule asks; DNS lists are named by rules alone. */
const RECORDED_FACTS = FACTS.filter(({ fetched, name: fact }) => fetched === true && fact !== 'dnsbl').map(
  (fact) => fact.name,
);
const RECORDED_EXPECTED = `facts that are looked up: ${RECORDED_FACTS.map((fact) => `\`${fact}\``).join(', ')}`;
const recordedFact = z.enum(RECORDED_FACTS, { error: RECORDED_EXPECTED });

const AUDIT_EXPECTED = '`{ commit: before-reply, retain: 400d }`';
const auditSettings = z.strictObject(
  {
    commit: z
      .literal('before-reply', { error: '`before-reply`: no mail is accepted before its record is durable' })
      .optional(),
    retain: duration.optional(),
  },
  { error: AUDIT_EXPECTED },
);

const settings = z.strictObject(
  {
    'max-message-size': size.optional(),
    'max-recipients': whole(1, 100_000, 'a number from 1 to 100000').optional(),
    'max-connections': whole(1, 100_000, 'a number from 1 to 100000').optional(),
    'max-connections-per-address': whole(1, 100_000, 'a number from 1 to 100000').optional(),
    facts: z.array(recordedFact, { error: RECORDED_EXPECTED }).min(1, { error: RECORDED_EXPECTED }).optional(),
    'postmaster-domain': text('a domain of `domains`').optional(),
    'authserv-id': text('a name such as `mx.example.com`', 255).optional(),
    'tls-floor': tlsRequirement.optional(),
    'on-error': z.literal('defer', { error: '`defer`, the only thing that is done on an error' }).optional(),
    audit: auditSettings.optional(),
    'mixed-verdicts': z.enum(['hold', 'split', 'strictest'], { error: '`hold`, `split` or `strictest`' }).optional(),
  },
  { error: 'settings' },
);

/** Before content is known. */
const envelopeVerdict = z.enum(['accept', 'reject', 'defer'], { error: '`accept`, `reject` or `defer`' });
const verdict = z.enum(['accept', 'reject', 'defer', 'hold', 'discard'], {
  error: '`accept`, `reject`, `defer`, `hold` or `discard`',
});

const SIGNED_EXPECTED = '`DOMAIN/SELECTOR`, a list of them, or `none`';
const expectSchema = z.strictObject(
  {
    verdict,
    by: z.string({ error: 'the id of a rule such as `rcpt/leaver`' }).max(200).optional(),
    route: name.optional(),
    client: name.optional(),
    recipient: text('an address').optional(),
    code: whole(400, 599, 'a reply code').optional(),
    tag: oneOrMore(name, 'a tag or a list of tags').optional(),
    queue: name.optional(),
    header: z
      .record(z.string(), text('the value of the field', 900), {
        error: 'fields by name such as `{ X-Origin: external }`',
      })
      .optional(),
    'added-recipient': oneOrMore(text('an address'), 'an address or a list of them').optional(),
    signed: oneOrMore(signatureName, SIGNED_EXPECTED).optional(),
    sealed: signatureName.optional(),
  },
  {
    error:
      'what to expect: `verdict` and, if need be, `by`, `route`, `client`, `recipient`, `code`, `tag`, `queue`, `header`, `added-recipient`, `signed`, `sealed`',
  },
);

const testSchema = (families: FamilyKeys): z.ZodType<TestDocument> =>
  z.strictObject(
    { name: text('what is tested, in words', 200), given: givenSchema(families), expect: expectSchema },
    { error: 'a test: `name`, `given` and `expect`' },
  );

const invariant = z.strictObject(
  { name: text('what must never happen, in words', 200), never: neverSchema(envelopeVerdict) },
  { error: 'an invariant: `name` and `never`' },
);

const named = <T extends z.ZodType>(item: T, expected: string): z.ZodRecord<z.ZodString, T> =>
  z.record(name, item, { error: expected });
const many = <T extends z.ZodType>(item: T, expected: string): z.ZodArray<T> => z.array(item, { error: expected });

const RULES_EXPECTED = 'a list of rules';
const EXPIRY_EXPECTED = '`return-to-sender`, `deliver`, or `discard` with a `reason`';
const reviewQueue = z.strictObject(
  {
    expire: duration,
    'on-expire': z.enum(['return-to-sender', 'deliver', 'discard'], { error: EXPIRY_EXPECTED }),
    reason: text('why mail may be discarded unseen').optional(),
    description: text('a text').optional(),
  },
  { error: 'a review queue: `expire` and `on-expire`' },
);

const rulesOf = (
  phase: AclPhase,
  headers: readonly string[] = [],
): z.ZodOptional<z.ZodArray<z.ZodType<RuleDocument>>> => many(ruleSchema(phase, headers), RULES_EXPECTED).optional();
const envelopeRules = Object.fromEntries(
  ACL_PHASES.filter((phase) => phase !== 'message').map((phase) => [phase, rulesOf(phase)]),
) as Record<Exclude<AclPhase, 'message'>, ReturnType<typeof rulesOf>>;

const documentShape = {
  policy: name,
  description: text('a text', 2000).optional(),
  listeners: named(listenerSchema, 'listeners by name').refine((all) => Object.keys(all).length > 0, {
    error: 'at least one listener',
  }),
  lists: named(list, 'lists by name').optional(),
  clients: many(client, 'a list of clients').optional(),
  domains: many(domainEntry, 'a list of domains').optional(),
  rewriting: many(rewriting, 'a list of rewriting entries').optional(),
  copies: many(copySchema, 'a list of copies').optional(),
  signing: many(signingSchema, 'a list of keys').max(100, { error: 'at most 100 keys' }).optional(),
  sealing: many(signingSchema, 'a list of keys').max(100, { error: 'at most 100 keys' }).optional(),
  routing: many(routingRule, 'a list of routing rules').min(1, { error: 'at least one routing rule' }),
  routes: named(routeSchema, 'routes by name'),
  tls: named(tlsSchema, 'TLS profiles by name').optional(),
  retry: named(retrySchema, 'retry profiles by name').optional(),
  limits: many(limitSchema, 'a list of limits').max(100, { error: 'at most 100 limits' }).optional(),
  notices: noticesSchema.optional(),
  'review-queues': named(reviewQueue, 'review queues by name').optional(),
  settings: settings.optional(),
  invariants: many(invariant, 'a list of invariants').optional(),
};

const ACL_EXPECTED = `rules by phase: ${ACL_PHASES.map((phase) => `\`${phase}\``).join(', ')}`;

function buildSchema(families: FamilyKeys) {
  const acl = z.strictObject(
    { ...envelopeRules, message: rulesOf('message', families.headers) },
    { error: ACL_EXPECTED },
  );
  return z.strictObject(
    { ...documentShape, acl: acl.optional(), tests: many(testSchema(families), 'a list of tests').optional() },
    { error: 'a policy document with the keys `policy`, `listeners`, `routing` and `routes`' },
  );
}

type PolicySchema = ReturnType<typeof buildSchema>;

/** Without the facts `header.<name>` and `limit.<name>`, of which there are as many as names. */
export const policySchema: PolicySchema = buildSchema({ headers: [], limits: [] });

/** With the facts `header.<name>` and `limit.<name>` that a document names, as it spells them. */
export function policySchemaFor(families: FamilyKeys): PolicySchema {
  return families.headers.length + families.limits.length === 0 ? policySchema : buildSchema(families);
}

export type PolicyDocument = z.infer<typeof policySchema>;
export type ListenerDocument = z.infer<typeof listenerSchema>;
export type ListDocument = z.infer<typeof list>;
export type ClientDocument = z.infer<typeof client>;
export interface TestDocument {
  name: string;
  given: Record<string, GivenValue | undefined>;
  expect: z.infer<typeof expectSchema>;
}
export type ReviewQueueDocument = z.infer<typeof reviewQueue>;
export type { CopyDocument, RouteDocument, RuleDocument, SigningDocument };
export type InvariantDocument = z.infer<typeof invariant>;
export type { Conditions, GivenValue };
