import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Database } from '#database';
import { readSigningKey } from '#mail-auth';
import { checkListEntry, type CompiledPolicy, type Finding } from '#policy';
import { Problem } from '../http/problem.js';
import { checkAside } from '../policy-aside.js';

export interface Examined {
  readonly policy: CompiledPolicy;
  readonly findings: readonly Finding[];
}

const MAX_FINDINGS_PER_LIST = 20;
/** Entries that are checked between two turns of the event loop. */
const SLICE = 1_000;

/** Reads, compiles, analyses and tests a policy. Throws the problem that tells everything that is wrong with it. */
export async function examine(source: string): Promise<Examined> {
  const result = await checkAside(source);
  if (result.ok) return result;
  throw refusal(result.findings);
}

/**
 * What a document alone cannot tell: queued mail that names its routes, mail held in its review queues, entries its managed
 * lists already have, secrets its routes sign in with, keys it signs mail with. Answers what is only worth a warning.
 */
export async function examineInPlace(database: Database, policy: CompiledPolicy): Promise<readonly Finding[]> {
  const findings = [
    ...(await routeFindings(database, policy)),
    ...(await reviewFindings(database, policy)),
    ...(await entryFindings(database, policy)),
    ...(await keyFindings(database, policy)),
  ];
  if (findings.length > 0) throw refusal(findings);
  return secretFindings(database, policy);
}

/** What the policy uses each secret for, in words. */
export function usesOfSecret(policy: CompiledPolicy, secret: string): readonly string[] {
  const routes = routesBySecret(policy).get(secret) ?? [];
  const keys = policy.signing.filter((entry) => entry.secret === secret);
  return [
    ...routes.map((route) => `signs in with it for \`${route}\``),
    ...keys.map(({ domain, selector }) => `signs mail of \`${domain}\` with it (selector \`${selector}\`)`),
  ];
}

/** Routes by the secret they sign in with. */
function routesBySecret(policy: CompiledPolicy): ReadonlyMap<string, readonly string[]> {
  const routes = new Map<string, readonly string[]>();
  for (const [name, route] of policy.routes) {
    const secret = 'auth' in route ? route.auth.secret : undefined;
    if (secret !== undefined) routes.set(secret, [...(routes.get(secret) ?? []), name]);
  }
  return routes;
}

/** Mail would wait from the first message on, and nobody wants to publish that: without its key a policy stays a draft. */
async function keyFindings(database: Database, policy: CompiledPolicy): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const { domain, selector, secret, pointer } of policy.signing) {
    const problem = await keyProblem(database, secret);
    if (problem === undefined) continue;
    findings.push({
      code: 'Q5',
      severity: 'blocks',
      pointer: `${pointer}/key`,
      message: `mail of \`${domain}\` can not be signed: secret \`${secret}\` ${problem}`,
      fix: `make a key: \`postern dkim keygen --domain ${domain} --selector ${selector} --secret ${secret}\``,
    });
  }
  return findings;
}

/** Why a secret can not sign. The value is read and forgotten. */
async function keyProblem(database: Database, secret: string): Promise<string | undefined> {
  const revealed = await database.secrets.reveal(secret);
  if (!revealed.ok) {
    return revealed.fault === 'no-such-secret' ? 'is not there' : 'can not be opened by a key of this installation';
  }
  const read = readSigningKey(revealed.value);
  return read.ok ? undefined : read.message;
}

/** Mail for such a route would wait; the secret may come after the policy, so it is no reason to refuse it. */
async function secretFindings(database: Database, policy: CompiledPolicy): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const [secret, routes] of routesBySecret(policy)) {
    const found = await database.secrets.get(secret);
    if (found?.readable === true) continue;
    const what = found === undefined ? 'which is not there' : 'which no key of this installation opens';
    for (const route of routes) {
      findings.push({
        code: 'Q3',
        severity: 'warns',
        pointer: `/routes/${route}/auth`,
        message: `route \`${route}\` signs in with the secret \`${secret}\`, ${what}: its mail waits until it is set`,
        fix: `set it: \`postern secret set ${secret}\``,
      });
    }
  }
  return findings;
}

/** Everything that keeps a document from being a policy. */
export function refusal(findings: readonly Finding[]): Problem {
  const blocking = findings.filter((finding) => finding.severity === 'blocks');
  const [first] = blocking;
  const place = first?.line === undefined ? '' : `line ${first.line}, column ${first.column ?? 1}: `;
  const more = blocking.length > 1 ? `, and ${blocking.length - 1} more` : '';
  // `Y…`: the text is not well formed, so nothing in it could be judged.
  const malformed = blocking.every((finding) => finding.code.startsWith('Y'));
  const detail = `${place}${first?.message ?? 'the policy has faults'}${more}`;
  return new Problem(malformed ? 'malformed-body' : 'policy-refused', detail, findings);
}

async function routeFindings(database: Database, policy: CompiledPolicy): Promise<readonly Finding[]> {
  const { routes } = await database.queue.status();
  return (
    routes
      // Mail held for review gets its route when it is released.
      .filter(({ route }) => route !== '' && !policy.routes.has(route))
      .map(({ route, recipients }) => ({
        code: 'Q1',
        severity: 'blocks',
        pointer: '/routes',
        message: `route \`${route}\` is still named by ${recipients} queued recipients`,
        fix: `keep the route \`${route}\` until the queue has no mail for it`,
      }))
  );
}

async function reviewFindings(database: Database, policy: CompiledPolicy): Promise<readonly Finding[]> {
  const held = [...(await database.reviews.counts())];
  return held
    .filter(([queue]) => !policy.reviewQueues.has(queue))
    .map(([queue, count]) => ({
      code: 'Q4',
      severity: 'blocks',
      pointer: '/review-queues',
      message: `review queue \`${queue}\` still holds the mail of ${count} recipients`,
      fix: `keep the review queue \`${queue}\` until somebody has decided about its mail`,
    }));
}

async function entryFindings(database: Database, policy: CompiledPolicy): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const { name } of policy.managedLists) {
    const refused: Finding[] = [];
    await database.lists.read(name, async (values) => {
      for (let from = 0; from < values.length && refused.length < MAX_FINDINGS_PER_LIST; from += SLICE) {
        refused.push(...refusedEntries(policy, name, values.slice(from, from + SLICE)));
        await nextTurn();
      }
    });
    findings.push(...refused.slice(0, MAX_FINDINGS_PER_LIST));
  }
  return findings;
}

function refusedEntries(policy: CompiledPolicy, list: string, values: readonly string[]): readonly Finding[] {
  return values.flatMap((value) => {
    const result = checkListEntry(policy, list, value);
    return result.ok ? [] : [entryFinding(list, value, result.message)];
  });
}

function entryFinding(list: string, value: string, why: string): Finding {
  return {
    code: 'Q2',
    severity: 'blocks',
    pointer: `/lists/${list}`,
    message: `entry \`${value}\` that the managed list \`${list}\` has would be refused: ${why}`,
    fix: `remove the entry first, or keep type and bound of the list`,
  };
}
