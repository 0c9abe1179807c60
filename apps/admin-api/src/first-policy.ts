import { check } from '#policy';
import type { Database } from '#database';
import { policyDigest } from './policies/digest.js';
import { POLICY_NAME } from './policies/policy-name.js';

/** The file named for a first start is missing or not a policy; the message holds every finding. */
export class FirstPolicyRefused extends Error {
  override readonly name = 'FirstPolicyRefused';
}

/** Publishes `file` when no policy is live; otherwise the file is not even read. */
export async function ensurePolicy(
  database: Database,
  file: string,
  readText: (file: string) => Promise<string>,
): Promise<void> {
  if ((await database.policies.live(POLICY_NAME)) !== undefined) return;
  const source = await readText(file).catch(() => {
    throw new FirstPolicyRefused(`the first policy cannot be read: ${file}; POSTERN_FIRST_POLICY names another file`);
  });
  const result = check(source);
  if (!result.ok) {
    const lines = result.findings
      .filter((finding) => finding.severity === 'blocks')
      .map(({ line, column, code, message, fix }) => {
        const place = line === undefined ? file : `${file}:${line}:${column ?? 1}`;
        return `${place}: ${code}: ${message}${fix === undefined ? '' : ` (fix: ${fix})`}`;
      });
    throw new FirstPolicyRefused([`the first policy was refused: ${file}`, ...lines].join('\n'));
  }
  await publishFirst(database, source);
}

/** Two first starts at once: one publishes, the other finds it done. */
async function publishFirst(database: Database, source: string): Promise<void> {
  await database.policies.publishDocument({
    policy: POLICY_NAME,
    source,
    digest: policyDigest(source),
    actor: 'setup',
    reason: 'first start',
    expected: 0,
  });
}
