/**
 * Checks and compiles policies in a thread of its own: a document of megabytes takes seconds, in which other requests are
 * answered. The result comes back in parcels of some milliseconds.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import {
  check,
  compile,
  receiveParcels,
  patchPolicy,
  type CompileResult,
  type EditResult,
  type PatchStep,
} from '#policy';

/** Done on the spot in some milliseconds, which is less than a thread needs to begin. */
const SMALL_CHARACTERS = 8_192;

/** With the document's tests and invariants. */
export async function checkAside(source: string): Promise<CompileResult> {
  return source.length <= SMALL_CHARACTERS ? check(source, Date.now()) : inThread(source, true);
}

export async function compileAside(source: string): Promise<CompileResult> {
  return source.length <= SMALL_CHARACTERS ? compile(source) : inThread(source, false);
}

export async function patchAside(source: string, steps: readonly PatchStep[]): Promise<EditResult> {
  if (source.length <= SMALL_CHARACTERS) return patchPolicy(source, steps);
  const worker = new Worker(new URL('./policy-edit-worker.js', import.meta.url), { workerData: { source, steps } });
  return new Promise((resolve, reject) => {
    worker.on('error', reject);
    worker.on('exit', (code) => {
      reject(new Error(`the thread that edits ended with ${String(code)}`));
    });
    worker.on('message', resolve);
  });
}

async function inThread(source: string, withTests: boolean): Promise<CompileResult> {
  const worker = new Worker(new URL('./policy-worker.js', import.meta.url), { workerData: { source, withTests } });
  try {
    return await receiveParcels(worker, nextTurn);
  } finally {
    await worker.terminate();
  }
}
