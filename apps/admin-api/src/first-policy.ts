import { check } from '#policy';
import type { Database } from '#database';
import { policyDigest } from './policies/digest.js';
import { POLICY_NAME } from './policies/policy-name.js';

/** A policy file named at a start is missing or not a policy; the message holds every finding. */
export class PolicyFileRefused extends Error {
  override readonly name = 'PolicyFileRefused';
}

type ReadText = (file: string) => Promise<string>;

/** Publishes `file` when no policy is live; otherwise the file is not even read. */
export async function ensurePolicy(database: Database, file: string, readText: ReadText): Promise<void> {
  if ((await database.policies.live(POLICY_NAME)) !== undefined) return;
  const source = await readPolicyFile(file, readText);
  // Two first starts at once: one publishes, the other finds it done.
  await database.policies.publishDocument({ ...toPublish(source, 'first start'), expected: 0 });
}

/** Publishes `file` unless it is live already: the way out when the live policy lets the gateway not even start. */
export async function publishPolicyFile(database: Database, file: string, readText: ReadText): Promise<void> {
  const source = await readPolicyFile(file, readText);
  const live = await database.policies.live(POLICY_NAME);
  if (live?.digest === policyDigest(source)) return;
  await database.policies.publishDocument(toPublish(source, 'published at a start'));
}

async function readPolicyFile(file: string, readText: ReadText): Promise<string> {
  const source = await readText(file).catch(() => {
    throw new PolicyFileRefused(`the policy file cannot be read: ${file}`);
  });
  const result = check(source);
  if (result.ok) return source;
  const lines = result.findings
    .filter((finding) => finding.severity === 'blocks')
    .map(({ line, column, code, message, fix }) => {
      const place = line === undefined ? file : `${file}:${line}:${column ?? 1}`;
      return `${place}: ${code}: ${message}${fix === undefined ? '' : ` (fix: ${fix})`}`;
    });
  throw new PolicyFileRefused([`the policy was refused: ${file}`, ...lines].join('\n'));
}

function toPublish(source: string, reason: string): Parameters<Database['policies']['publishDocument']>[0] {
  return { policy: POLICY_NAME, source, digest: policyDigest(source), actor: 'setup', reason };
}
