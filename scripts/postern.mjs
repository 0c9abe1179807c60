#!/usr/bin/env node
// `npx postern`: the built command line; built first when this checkout never was.
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { prepare } from './lib/prepare.mjs';

const root = resolve(import.meta.dirname, '..');
const main = join(root, 'dist/apps/cli/src/main.js');
try {
  if (!existsSync(main)) await prepare(root, { log: (line) => console.error(line) });
} catch (error) {
  console.error(`postern: ${error.message}`);
  process.exit(1);
}
await import(pathToFileURL(main).href);
