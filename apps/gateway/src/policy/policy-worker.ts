/** The thread that compiles: one document in, its parcels out, each when it is asked for. */
import { parentPort, workerData } from 'node:worker_threads';
import { compile, parcelsOf } from '#policy';

const parcels = parcelsOf(compile(workerData as string));
const port = parentPort;
if (port === null) throw new Error('policy-worker runs as a worker thread only');

port.on('message', () => {
  const next = parcels.next();
  if (next.done === true) port.close();
  else port.postMessage(next.value);
});
