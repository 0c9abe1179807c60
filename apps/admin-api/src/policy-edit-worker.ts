/** The thread that edits large policies: one text and one patch in, the result out. */
import { parentPort, workerData } from 'node:worker_threads';
import { patchPolicy, type PatchStep } from '#policy';

const { source, steps } = workerData as { readonly source: string; readonly steps: readonly PatchStep[] };
parentPort?.postMessage(patchPolicy(source, steps));
