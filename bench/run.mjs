// `npm run bench [-- options]`: compiles what is missing, then measures. `npm run bench -- --help` lists the options.
// `node bench/run.mjs protocol [options]` runs another of the benches: dist/bench/NAME.js.
import { resolve } from 'node:path';
import { prepare } from '../scripts/lib/prepare.mjs';

const root = resolve(import.meta.dirname, '..');

try {
  await prepare(root, { log: (line) => console.error(line) });
  const args = process.argv.slice(2);
  const name = /^[a-z]/.test(args[0] ?? '') ? args.shift() : 'main';
  const { main } = await import(`../dist/bench/${name}.js`);
  process.exitCode = await main(args, root);
} catch (error) {
  console.error(`error: ${error.message}`);
  process.exitCode = 1;
}
