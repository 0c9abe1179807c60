/** Random policies and facts over small pools of values, so that rules meet and cover each other often. */
import fc from 'fast-check';
import type { Facts, FactValue } from '#policy';

const DOMAINS = ['ours.example', 'sub.ours.example', 'other.example', 'far.invalid'];
const LOCALS = ['ann', 'bob', 'Ann', 'postmaster'];
const ADDRESSES = DOMAINS.flatMap((domain) => LOCALS.map((local) => `${local}@${domain}`));
const IPS = ['10.0.1.5', '10.0.2.5', '192.0.2.7', '203.0.113.9', '127.0.0.1', '2001:db8::9'];
const NETWORKS = ['10.0.1.0/24', '10.0.0.0/8', '192.0.2.0/24', '203.0.113.9', '2001:db8::/32'];
const LISTENERS = ['mx', 'internal'];
const DOMAIN_ENTRIES = [...DOMAINS.slice(0, 3), '.ours.example', '.example'];

const operand = (values: readonly string[]): fc.Arbitrary<unknown> => {
  const some = fc.oneof(
    fc.constantFrom(...values),
    fc.uniqueArray(fc.constantFrom(...values), { minLength: 1, maxLength: 3 }),
  );
  return fc.oneof({ weight: 3, arbitrary: some }, { weight: 1, arbitrary: some.map((not) => ({ not })) });
};

const BLOCK_LISTS = ['zen.list.example', 'other.list.example'];
const several = (values: readonly string[]): fc.Arbitrary<unknown> =>
  fc.oneof(
    { weight: 3, arbitrary: operand(values) },
    { weight: 1, arbitrary: fc.subarray([...values], { minLength: 1 }).map((all) => ({ all })) },
  );

const SPF_RESULTS = ['pass', 'fail', 'softfail', 'none', 'permerror'];
const DKIM_RESULTS = ['pass', 'fail', 'none'];

const connectFacts = {
  ip: operand([...NETWORKS, 'nets']),
  listener: operand(LISTENERS),
  dnsbl: several(BLOCK_LISTS),
  rdns: several(DOMAIN_ENTRIES),
  'early-talker': fc.boolean(),
};
const heloFacts = {
  ...connectFacts,
  helo: operand([...DOMAIN_ENTRIES, 'domains']),
  'helo.kind': operand(['fqdn', 'literal', 'none']),
  tls: fc.boolean(),
};
const mailFacts = {
  ...heloFacts,
  client: operand(['first', 'second', 'none']),
  sender: operand([...ADDRESSES, '*@ours.example', 'addresses']),
  'sender.domain': operand([...DOMAIN_ENTRIES, 'domains', 'none']),
  'sender.null': fc.boolean(),
  'size.declared': fc.constantFrom({ above: '1MB' }, { 'at-most': '10kB' }),
  spf: operand(SPF_RESULTS),
};
const rcptFacts = {
  ...mailFacts,
  recipient: operand([...ADDRESSES, '*@ours.example', 'addresses', 'managed']),
  'recipient.domain': operand([...DOMAIN_ENTRIES, 'domains']),
  'recipient.local': fc.constantFrom(['ann'], ['bob', 'postmaster']),
  'recipient.known': fc.boolean(),
  recipients: fc.constantFrom({ above: 2 }, 1),
};

const EXTENSIONS = ['exe', 'pdf', 'vbs'];
const messageFacts = {
  ...rcptFacts,
  size: fc.constantFrom({ above: '1MB' }, { below: '10kB', 'at-least': '1B' }),
  'attachment.extension': fc.oneof(
    fc.constantFrom(['exe'], ['pdf', 'vbs'], 'words', { not: ['exe'] }, { all: ['pdf'] }, 'none'),
  ),
  received: fc.constantFrom({ above: 3 }, 2),
  dkim: several(DKIM_RESULTS),
  'dkim.domain': several(DOMAIN_ENTRIES),
  dmarc: operand(['pass', 'fail', 'none']),
};

function conditions(facts: Readonly<Record<string, fc.Arbitrary<unknown>>>): fc.Arbitrary<Record<string, unknown>> {
  return fc
    .uniqueArray(fc.constantFrom(...Object.keys(facts)), { minLength: 1, maxLength: 3 })
    .chain((names) => fc.record(Object.fromEntries(names.map((name) => [name, facts[name] ?? fc.constant(1)]))));
}

const REPLIES: Readonly<Record<string, { reject: string; defer: string }>> = {
  connect: { reject: '554 5.7.1 No', defer: '421 4.7.1 Later' },
  other: { reject: '550 5.7.1 No', defer: '451 4.7.1 Later' },
};

export interface RuleOptions {
  readonly tags?: boolean;
  readonly onUnknown?: boolean;
  /** Rules per phase; more than a dozen are indexed. */
  readonly minRules?: number;
}

export function arbitraryRule(phase: string, options: RuleOptions = {}): fc.Arbitrary<Record<string, unknown>> {
  const byPhase = { connect: connectFacts, helo: heloFacts, mail: mailFacts, rcpt: rcptFacts, message: messageFacts };
  const facts = Object.hasOwn(byPhase, phase) ? byPhase[phase as keyof typeof byPhase] : rcptFacts;
  const known = phase === 'connect' || phase === 'helo' ? facts : { ...facts };
  const replies = REPLIES[phase] ?? REPLIES['other'];
  const action = fc.constantFrom<Record<string, unknown>>(
    { accept: true },
    { reject: replies?.reject },
    { defer: replies?.defer },
    ...(options.tags === false ? [] : [{ tag: 'seen' }]),
    ...(phase === 'rcpt' ? [{ greylist: { delay: '5m', remember: '35d' } }] : []),
    ...(phase === 'message' ? [{ hold: 'held' }, { discard: true, reason: 'a test' }] : []),
  );
  const life = fc.constantFrom({}, {}, {}, {}, { expires: '2026-06-30' }, { mode: 'monitor' });
  const unknown =
    options.onUnknown === false
      ? fc.constant<{ 'on-unknown'?: string }>({})
      : fc.constantFrom<{ 'on-unknown'?: string }>(
          {},
          {},
          { 'on-unknown': 'skip' },
          { 'on-unknown': 'defer' },
          { 'on-unknown': 'match' },
        );
  return fc
    .tuple(
      fc.option(conditions(known), { nil: undefined }),
      fc.option(conditions(known), { nil: undefined, freq: 3 }),
      action,
      unknown,
      life,
    )
    .map(([when, unless, act, onUnknown, expiry]) => ({
      ...(when === undefined ? {} : { when }),
      ...(unless === undefined ? {} : { unless }),
      ...act,
      ...(act['accept'] === true && onUnknown['on-unknown'] === 'match' ? {} : onUnknown),
      ...expiry,
    }));
}

const named = (rules: readonly Record<string, unknown>[]): Record<string, unknown>[] =>
  rules.map((rule, index) => ({ name: `rule-${String(index)}`, ...rule }));

const clientMatch = fc.constantFrom<readonly Record<string, unknown>[]>(
  [
    { ip: '10.0.1.0/24', listener: 'internal' },
    { ip: '10.0.0.0/8', listener: 'internal' },
  ],
  [
    { ip: '192.0.2.0/24', listener: 'internal' },
    { ip: '10.0.0.0/8', listener: 'internal' },
  ],
  [
    { ip: '10.0.0.0/8', listener: 'internal', helo: '.example' },
    { ip: '203.0.113.9', listener: 'mx' },
  ],
  [{ helo: '.ours.example' }, { listener: 'internal', ip: { not: '10.0.0.0/8' } }],
  [{ ip: '10.0.0.0/8' }, { listener: 'internal' }],
  [
    { ip: 'nets', listener: 'internal' },
    { ip: '203.0.113.9', listener: 'mx', helo: 'far.invalid' },
  ],
);
const relay = fc.constantFrom<Record<string, unknown>>(
  {},
  { relay: 'anywhere' },
  { relay: { to: 'domains' } },
  { relay: { to: '*@other.example' } },
);
const senders = fc.constantFrom<Record<string, unknown>>(
  {},
  { senders: 'domains' },
  { senders: ['ann@ours.example', '.example'] },
);
const acceptedDomains = fc.constantFrom<readonly Record<string, unknown>[]>(
  [],
  [{ match: 'ours.example', recipients: 'addresses' }],
  [{ match: ['ours.example', '.ours.example'], recipients: 'managed' }],
  [{ match: 'domains', recipients: 'any', reason: 'a test' }],
  [{ match: '.example', recipients: 'any', reason: 'a test' }],
);

/** A document; whether it compiles is another question. */
export function arbitraryDocument(options: RuleOptions = {}): fc.Arbitrary<Record<string, unknown>> {
  const phase = (name: string): fc.Arbitrary<Record<string, unknown>[]> =>
    fc
      .array(arbitraryRule(name, options), { minLength: options.minRules ?? 0, maxLength: (options.minRules ?? 0) + 3 })
      .map(named);
  return fc
    .record({
      matches: clientMatch,
      rights: fc.tuple(fc.tuple(relay, senders), fc.tuple(relay, senders)),
      domains: acceptedDomains,
      acl: fc.record({
        connect: phase('connect'),
        helo: phase('helo'),
        mail: phase('mail'),
        rcpt: phase('rcpt'),
        message: phase('message'),
      }),
      routing: fc.array(conditions(rcptFacts), {
        minLength: options.minRules ?? 0,
        maxLength: (options.minRules ?? 0) + 2,
      }),
      rewriting: fc.constantFrom<readonly unknown[]>(
        [],
        [{ name: 'brand', recipient: { from: '*@other.example', to: '{local}@ours.example' } }],
      ),
      entries: fc.uniqueArray(fc.constantFrom(...ADDRESSES), { minLength: 1, maxLength: 4 }),
    })
    .map((parts) => ({
      policy: 'generated',
      listeners: {
        mx: { port: 25, exposure: 'internet', address: '192.0.2.1', 'greeting-delay': '2s' },
        internal: { port: 2525, exposure: 'internal', address: '10.0.0.1', 'greeting-delay': '2s' },
      },
      lists: {
        domains: { type: 'domain', entries: ['ours.example', '.ours.example'] },
        addresses: { type: 'address', entries: parts.entries },
        managed: { type: 'address', source: 'managed', within: { domain: 'domains' } },
        nets: { type: 'network', entries: ['10.0.1.0/24', '192.0.2.0/24'] },
        words: { type: 'word', entries: ['exe', 'scr'] },
      },
      'review-queues': { held: { expire: '14d', 'on-expire': 'return-to-sender' } },
      clients: parts.matches.map((match, index) => ({
        name: index === 0 ? 'first' : 'second',
        match,
        ...parts.rights[index]?.[0],
        ...parts.rights[index]?.[1],
      })),
      domains: parts.domains,
      // A tag that is asked for must be given by somebody.
      acl: {
        ...parts.acl,
        connect: [...parts.acl.connect, ...(options.tags === false ? [] : [{ name: 'tags', tag: 'seen' }])],
      },
      rewriting: parts.rewriting,
      routing: [
        ...parts.routing.map((when, index) => ({
          name: `route-${String(index)}`,
          when,
          route: index === 0 ? 'inside' : 'out',
        })),
        { name: 'rest', route: 'out' },
      ],
      routes: { inside: { hosts: [{ host: 'mbx.example' }] }, out: { hosts: [{ host: 'out.example' }] } },
    }));
}

/** Facts of one transaction with one recipient. */
export const arbitraryFacts: fc.Arbitrary<Facts> = fc
  .record(
    {
      ip: fc.constantFrom(...IPS),
      listener: fc.constantFrom(...LISTENERS),
      time: fc.constantFrom('2026-06-01T12:00:00Z', '2026-12-31T23:59:59+01:00'),
      helo: fc.constantFrom(...DOMAINS, '[192.0.2.7]', 'localhost'),
      'helo.kind': fc.constantFrom('fqdn', 'literal', 'our-own-name', 'malformed'),
      sender: fc.constantFrom(...ADDRESSES, ''),
      'size.declared': fc.constantFrom(0, 5_000, 2_000_000),
      recipient: fc.constantFrom(...ADDRESSES, 'postmaster', 'a%b@ours.example', 'x@[192.0.2.1]'),
      recipients: fc.integer({ min: 1, max: 5 }),
      greylist: fc.constantFrom('new', 'waiting', 'passed'),
    },
    { requiredKeys: ['ip', 'listener', 'sender', 'recipient'] },
  )
  .map((facts) => facts);

/** Facts of look-ups, of the session and of the content beside those of the envelope. */
export const arbitraryWholeFacts: fc.Arbitrary<Facts> = fc
  .tuple(
    arbitraryFacts,
    fc.record(
      {
        dnsbl: fc.subarray(BLOCK_LISTS),
        rdns: fc.subarray(['mail.ours.example', 'other.example', 'far.invalid']),
        'early-talker': fc.boolean(),
        tls: fc.boolean(),
        size: fc.constantFrom(1, 5_000, 2_000_000),
        'attachment.extension': fc.subarray(EXTENSIONS),
        received: fc.constantFrom(0, 2, 4),
        spf: fc.constantFrom(...SPF_RESULTS),
        dkim: fc.subarray(DKIM_RESULTS),
        'dkim.domain': fc.subarray(['mail.ours.example', 'other.example']),
        dmarc: fc.constantFrom('pass', 'fail', 'none'),
      },
      { requiredKeys: [] },
    ),
  )
  .map(([envelope, rest]) => ({ ...envelope, ...rest }));

/** The same with some facts unknown. */
export function withUnknowns(facts: Facts, unknown: readonly string[]): Facts {
  const result: Record<string, FactValue> = { ...facts };
  for (const name of unknown) if (name in result) result[name] = { unknown: 'generated' };
  return result;
}

/** Anything that a fact could be by mistake. */
export const arbitraryNonsense: fc.Arbitrary<Facts> = fc.dictionary(
  fc.constantFrom(
    'ip',
    'listener',
    'time',
    'helo',
    'helo.kind',
    'sender',
    'sender.domain',
    'sender.null',
    'recipient',
    'recipients',
    'recipient.known',
    'size.declared',
    'client',
    'tag',
  ),
  fc.oneof(fc.string(), fc.double(), fc.boolean(), fc.array(fc.string()), fc.record({ unknown: fc.string() })),
);
