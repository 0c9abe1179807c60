/**
 * Compiles a policy in a thread of its own: a document of megabytes takes seconds, in which mail goes on. The result
 * comes back in parcels of some milliseconds, with a turn of the event loop between them.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { compile, ParcelReceiver, type CompileResult, type Parcel } from '#policy';

/** Compiled on the spot in some milliseconds, which is less than a thread needs to begin. */
const SMALL_CHARACTERS = 8_192;

export async function compileAside(source: string): Promise<CompileResult> {
  if (source.length <= SMALL_CHARACTERS) return compile(source);
  const worker = new Worker(new URL('./policy-worker.js', import.meta.url), { workerData: source });
  try {
    return await receive(worker);
  } finally {
    await worker.terminate();
  }
}

function receive(worker: Worker): Promise<CompileResult> {
  const receiver = new ParcelReceiver();
  return new Promise((resolve, reject) => {
    const ask = (): void => {
      worker.postMessage('next');
    };
    worker.on('error', reject);
    worker.on('exit', (code) => {
      reject(new Error(`the thread that compiles ended with ${String(code)}`));
    });
    worker.on('message', (parcel: Parcel) => {
      const result = receiver.take(parcel);
      if (result === undefined) void nextTurn().then(ask);
      else resolve(result);
    });
    ask();
  });
}
