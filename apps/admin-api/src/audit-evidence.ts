/**
 * Keys and checkpoints in the data directory: `audit-signing-key.pem` of the gateway here, public keys of other nodes in
 * `audit-trusted-keys/*.pem`, and `checkpoints.ndjson`.
 */
import { createHash, createPublicKey, type KeyObject } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { SignedCheckpoint } from '#audit';
import type { Evidence } from './audit/evidence.js';

export function evidenceIn(dataDir: string): Evidence {
  return {
    async keys() {
      const trusted = join(dataDir, 'audit-trusted-keys');
      const names = await orNone(readdir(trusted), []);
      const files = [
        join(dataDir, 'audit-signing-key.pem'),
        ...names.filter((name) => name.endsWith('.pem')).map((name) => join(trusted, name)),
      ];
      const keys = new Map<string, KeyObject>();
      for (const file of files) {
        const pem = await orNone(readFile(file, 'utf8'), undefined);
        if (pem === undefined) continue;
        const key = createPublicKey(pem);
        keys.set(fingerprintOf(key), key);
      }
      return keys;
    },
    checkpoints: () => readCheckpoints(join(dataDir, 'checkpoints.ndjson')),
  };
}

function fingerprintOf(key: KeyObject): string {
  return createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest('hex');
}

async function* readCheckpoints(file: string): AsyncGenerator<SignedCheckpoint> {
  const stream = createReadStream(file);
  try {
    for await (const line of createInterface({ input: stream, crlfDelay: Infinity })) {
      const checkpoint = checkpointIn(line);
      if (checkpoint !== undefined) yield checkpoint;
    }
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}

/** A crash may have cut a line: it is no evidence, and spoils no other. */
function checkpointIn(line: string): SignedCheckpoint | undefined {
  try {
    const value = JSON.parse(line) as Partial<SignedCheckpoint> | null;
    const whole = typeof value?.body === 'string' && typeof value.signature === 'string';
    return whole ? { body: value.body ?? '', signature: value.signature ?? '' } : undefined;
  } catch {
    return undefined;
  }
}

async function orNone<T>(reading: Promise<T>, none: T): Promise<T> {
  try {
    return await reading;
  } catch (error) {
    if (isMissing(error)) return none;
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === 'ENOENT';
}
