/** A new admin key, made where only the owner of an installation gets: in its database and its data directory. */
import { fork } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { embeddedPostgresUrl, startEmbeddedPostgres } from './embedded-postgres.mjs';
import { Failure } from './failure.mjs';
import { takeLock } from './lock.mjs';

/**
 * @param {{ root: string, dataDir: string, env: NodeJS.ProcessEnv, log: (line: string) => void }} where
 * @returns {Promise<{ adminKey: string, adminKeyFile: string }>}
 */
export async function resetKey({ root, dataDir: named, env, log }) {
  if (!existsSync(named)) throw new Failure(`there is no installation in ${named}; name another with --data-dir`);
  const dataDir = realpathSync(named); // the name of the key is made of it
  if (env.DATABASE_URL) return ask(root, { ...env, POSTERN_DATA_DIR: dataDir });
  const running = embeddedPostgresUrl(dataDir);
  if (running === undefined)
    throw new Failure(`there is no database in ${dataDir}: name another with --data-dir, or set DATABASE_URL`);
  const lock = takeLock(join(dataDir, 'supervisor.lock'));
  if (lock.heldBy !== undefined) return ask(root, { ...env, POSTERN_DATA_DIR: dataDir, DATABASE_URL: running });
  let server;
  try {
    server = await startEmbeddedPostgres({ dataDir, log });
    return await ask(root, { ...env, POSTERN_DATA_DIR: dataDir, DATABASE_URL: server.url });
  } finally {
    await server?.stop();
    lock.release();
  }
}

function ask(root, env) {
  return new Promise((done, fail) => {
    const file = join(root, 'dist/apps/admin-api/src/reset-key.js');
    const child = fork(file, [], { env, stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
    let result;
    let said = '';
    child.stderr.on('data', (chunk) => (said = (said + chunk).slice(-4000)));
    child.on('message', (message) => {
      if (message?.kind === 'done') result = message;
      if (message?.kind === 'fatal') said = String(message.message);
    });
    child.once('error', (error) => fail(error));
    child.once('close', (code) => {
      if (code === 0 && result !== undefined) done(result);
      else fail(new Failure(said.trim() || `ended with ${code}`));
    });
  });
}
