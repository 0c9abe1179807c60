/**
 * Compiles a policy in a thread of its own: a document of megabytes takes seconds, in which mail goes on. The result
 * comes back in parcels of some milliseconds, with a turn of the event loop between them.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { compile, receiveParcels, type CompileResult } from '#policy';

/** Compiled on the spot in some milliseconds, which is less than a thread needs to begin. */
const SMALL_CHARACTERS = 8_192;

export async function compileAside(source: string): Promise<CompileResult> {
  if (source.length <= SMALL_CHARACTERS) return compile(source);
  const worker = new Worker(new URL('./policy-worker.js', import.meta.url), { workerData: source });
  try {
    return await receiveParcels(worker, nextTurn);
  } finally {
    await worker.terminate();
  }
}
