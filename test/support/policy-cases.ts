/**
 * Policy cases: one line, one recipient, one expected answer.
 *
 *   client 203.0.113.9 mail a@x.example rcpt ann@example.com  -> accept      via mailboxes
 *   client unknown     mail <>          rcpt ann@example.com  -> defer 451   by clients/servers
 *
 * Left of the arrow pairs of fact and value (`client`, `mail` and `rcpt` for `ip`, `sender` and `recipient`; `list
 * NAME=a,b` for members of a managed list); right of it the verdict, the code, and `by`, `via`, `as`, `to`, `in` (review
 * queue), `also` (added `address/route`), `with` (changed `Name:value`). Values have no blanks; facts of the content are
 * lists, `attachment.extension exe,pdf`.
 */
import {
  buildManagedList,
  createSnapshot,
  explainTransaction,
  type CompiledPolicy,
  type Facts,
  type FactValue,
  type ManagedList,
  type RecipientDecision,
} from '#policy';

export interface PolicyCase {
  readonly line: number;
  readonly text: string;
  readonly facts: Facts;
  readonly lists: Readonly<Record<string, readonly string[]>>;
  readonly expected: Readonly<Record<string, string>>;
}

const FACT_WORDS: Readonly<Record<string, string>> = { client: 'ip', mail: 'sender', rcpt: 'recipient' };
const VERDICT_WORDS: Readonly<Record<string, string>> = { accept: 'accept', refuse: 'reject', defer: 'defer' };

const NUMBERS: ReadonlySet<string> = new Set(['recipients', 'size.declared', 'size', 'connections']);

function parseValue(name: string, text: string): FactValue {
  if (text === 'unknown') return { unknown: 'given as unknown' };
  if (text === '<>') return '';
  if (text === 'true' || text === 'false') return text === 'true';
  if (NUMBERS.has(name)) return Number(text);
  if (
    /^(?:attachment|header)\.|^(?:from|subject|dkim|dkim\.domain|from\.aligned|rdns|dnsbl|cert\.name|auth\.identities)$/.test(
      name,
    )
  )
    return text.split(',');
  return text;
}

export function readCases(text: string): readonly PolicyCase[] {
  return text.split('\n').flatMap((line, index) => {
    if (line.trim() === '' || line.startsWith('#')) return [];
    return [readCase(line, index + 1)];
  });
}

function readCase(text: string, line: number): PolicyCase {
  const [left = '', right] = text.split(/\s->\s/);
  if (right === undefined) throw new Error(`line ${String(line)}: a case needs \`->\``);
  const facts: Record<string, FactValue> = {};
  const lists: Record<string, readonly string[]> = {};
  for (const [word, value] of pairs(left)) {
    if (word === 'list') {
      const [name = '', members = ''] = value.split('=');
      lists[name] = members.split(',');
    } else {
      const name = FACT_WORDS[word] ?? word;
      facts[name] = parseValue(name, value);
    }
  }
  const [verdict = '', ...rest] = right.trim().split(/\s+/);
  const code = /^\d{3}$/.test(rest[0] ?? '') ? rest.shift() : undefined;
  const expected = Object.fromEntries(pairs(rest.join(' ')));
  return {
    line,
    text,
    facts,
    lists,
    expected: { verdict: VERDICT_WORDS[verdict] ?? verdict, ...(code === undefined ? {} : { code }), ...expected },
  };
}

function pairs(text: string): readonly (readonly [string, string])[] {
  const words = text.trim().split(/\s+/).filter(Boolean);
  return Array.from({ length: Math.ceil(words.length / 2) }, (_, i) => [words[2 * i] ?? '', words[2 * i + 1] ?? '']);
}

export interface CaseResult {
  readonly actual: Readonly<Record<string, string>>;
  readonly explanation: string;
}

/** Judges the case; `actual` has the same keys as `expected`. */
export function runCase(policy: CompiledPolicy, { facts, lists, expected }: PolicyCase): CaseResult {
  const { recipient = 'nobody@invalid', ...shared } = { listener: policy.listeners[0]?.name ?? '', ...facts };
  const { decision, lines } = explainTransaction(snapshotFor(policy, lists), shared, [{ recipient }], true);
  const decided = decision.recipients[0];
  if (decided === undefined) throw new Error('no recipient was judged');
  const actual = Object.fromEntries(Object.keys(expected).map((key) => [key, answerPart(decided, key)]));
  return { actual, explanation: lines.join('\n') };
}

/** Managed lists that a case does not fill are empty; a recipient list that it does not fill knows everybody. */
function snapshotFor(policy: CompiledPolicy, given: PolicyCase['lists']): ReturnType<typeof createSnapshot> {
  const lists = new Map<string, ManagedList>();
  for (const { name, type } of policy.managedLists) {
    lists.set(name, buildManagedList(type, name, 1, given[name] ?? []));
  }
  const assumedKnown = new Set<number>();
  for (const { recipients, recipientsManaged } of policy.program.domains) {
    const name = recipients === undefined ? undefined : policy.program.lists[recipients]?.name;
    if (recipients !== undefined && recipientsManaged && name !== undefined && !(name in given))
      assumedKnown.add(recipients);
  }
  return createSnapshot(policy, lists, { assumedKnown });
}

function answerPart(decided: RecipientDecision, key: string): string {
  const parts: Readonly<Record<string, string | undefined>> = {
    verdict: decided.verdict,
    code: decided.reply === undefined ? undefined : String(decided.reply.code),
    by: decided.by,
    via: decided.route,
    as: decided.client,
    to: decided.recipient,
    in: decided.reviewQueue,
    also: decided.added?.map(({ address, route }) => `${address}/${route}`).join(','),
    with: decided.headers?.map(({ name, value }) => `${name}:${value ?? ''}`).join(','),
  };
  return parts[key] ?? `nothing for \`${key}\``;
}
