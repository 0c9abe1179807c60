/** The options of `npm start`, from the command line first and the environment second. */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { Failure } from './failure.mjs';

const OPTIONS = {
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
  'data-dir': { type: 'string' },
  'api-port': { type: 'string' },
  policy: { type: 'string' },
  publish: { type: 'string' },
};

export const HELP = `npm start -- [options]        starts Postern and stays until Ctrl-C

  --data-dir DIR    where everything lives        (POSTERN_DATA_DIR; default: data)
  --api-port N      port of the HTTP API, 0 = any (ADMIN_API_PORT; default: 8025)
  --policy FILE     policy of a first start; later ones come from the database
                                                  (default: examples/policies/first-start/policy.yaml)
  --publish FILE    policy to publish before anything listens, unless it is live already
  --json            one JSON line on stdout when ready, progress on stderr
  --help            this text

Ports of SMTP are chosen by the policy (listeners). Also read: DATABASE_URL (a PostgreSQL 15 or newer of your own,
instead of the embedded one), GATEWAY_HOSTNAME (name in the greeting), ADMIN_API_HOST (default: 127.0.0.1).
`;

/** @returns {{ json: boolean, help: boolean, dataDir: string, apiPort: number, policy: string, publish?: string }} absolute paths */
export function readOptions(argv, env, root) {
  const values = parse(argv);
  const { json = false, help = false } = values;
  if (values['data-dir'] === '') throw new Failure('--data-dir: expected the path of a directory');
  const dataDir = resolve((values['data-dir'] ?? env.POSTERN_DATA_DIR) || join(root, 'data'));
  const policy = resolve(values.policy ?? join(root, 'examples/policies/first-start/policy.yaml'));
  const publish = values.publish === undefined ? undefined : resolve(values.publish);
  for (const [name, file] of Object.entries({ policy: values.policy && policy, publish })) {
    if (file !== undefined && !existsSync(file)) throw new Failure(`--${name}: there is no file \`${file}\``);
  }
  return { json, help, dataDir, policy, publish, apiPort: readPort(values['api-port'], env.ADMIN_API_PORT) };
}

function parse(argv) {
  try {
    return parseArgs({ args: argv, options: OPTIONS, allowPositionals: false }).values;
  } catch (error) {
    const known = Object.keys(OPTIONS).map((name) => `--${name}`);
    const cause = error.message.split('. ')[0].replaceAll("'", '`').replace(/^U/, 'u').replace(/^O/, 'o');
    throw new Failure(`${cause}; expected ${known.join(', ')} (npm start -- --help)`);
  }
}

function readPort(option, variable) {
  const text = option ?? (variable === '' ? undefined : variable) ?? '8025';
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port <= 65535) return port;
  throw new Failure(`${option === undefined ? 'ADMIN_API_PORT' : '--api-port'}: expected a port from 0 to 65535`);
}
