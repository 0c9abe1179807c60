/** The thread that checks policies: one document in, its parcels out, each when it is asked for. */
import { parentPort, workerData } from 'node:worker_threads';
import { check, compile, parcelsOf } from '#policy';

const { source, withTests } = workerData as { readonly source: string; readonly withTests: boolean };
const parcels = parcelsOf(withTests ? check(source, Date.now()) : compile(source));
const port = parentPort;
if (port === null) throw new Error('policy-worker runs as a worker thread only');

port.on('message', () => {
  const next = parcels.next();
  if (next.done === true) port.close();
  else port.postMessage(next.value);
});
