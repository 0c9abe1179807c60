// `npx postern key reset [--data-dir DIR]`: a new admin key for an installation whose own was lost. Goes to the database, not
// through the API; the embedded PostgreSQL is started for the moment when it does not run.
import { parseArgs } from 'node:util';
import { join, resolve } from 'node:path';
import { resetKey } from './lib/key-reset.mjs';
import { Failure } from './lib/failure.mjs';

const root = resolve(import.meta.dirname, '..');
try {
  const { values } = parseArgs({ options: { 'data-dir': { type: 'string' }, json: { type: 'boolean' } } });
  const dataDir = resolve(values['data-dir'] || process.env.POSTERN_DATA_DIR || join(root, 'data'));
  const { adminKey, adminKeyFile } = await resetKey({ root, dataDir, env: process.env, log: console.error });
  if (values.json) console.log(JSON.stringify({ adminKey, adminKeyFile }));
  else console.log(`new admin key: ${adminKey}\nkept in ${adminKeyFile}; the old one is worthless`);
  process.exit(0);
} catch (error) {
  console.error(`postern: ${error instanceof Failure ? error.message : error.stack}`);
  process.exit(1);
}
