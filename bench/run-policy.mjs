// `npm run bench:policy [-- options]`: compiles what is missing, then measures the policy. `-- --help` lists the options.
import { resolve } from 'node:path';
import { prepare } from '../scripts/lib/prepare.mjs';

const root = resolve(import.meta.dirname, '..');

try {
  await prepare(root, { log: (line) => console.error(line) });
  const { main } = await import('../dist/bench/policy.js');
  process.exitCode = await main(process.argv.slice(2), root);
} catch (error) {
  console.error(`error: ${error.message}`);
  process.exitCode = 1;
}
