// `npm run fuzz [-- --runs N] [--seed N] [--only WORDS]`: the properties of test/properties, tried much longer than in the
// suite; parsers get the corpus of test/fuzz and what mutation makes of it. A failure prints its own seed and path;
// `--seed` repeats a whole run. `--only policy` takes the files whose names contain the word.
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

const root = resolve(import.meta.dirname, '..');
const folder = join(root, 'test/properties');

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '20000' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
    only: { type: 'string', default: '' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});

if (values.help) {
  console.log(`npm run fuzz -- [--runs N] [--seed N] [--only WORDS]

  --runs N       runs of each property, costly ones take a share of it   (default 20000)
  --seed N       repeats a run                                           (default from the clock)
  --only WORDS   files whose names contain one of these, comma-separated (default all)

Properties: ${properties([]).join(', ')}`);
} else if (!/^[1-9]\d{0,8}$/.test(values.runs) || !/^\d{1,10}$/.test(values.seed)) {
  console.error('error: --runs and --seed: expected a whole number');
  process.exitCode = 1;
} else {
  fuzz(properties(values.only.split(',').filter(Boolean)));
}

function properties(words) {
  const names = readdirSync(folder).filter((name) => name.endsWith('.spec.ts'));
  return names.filter((name) => words.length === 0 || words.some((word) => name.includes(word)));
}

function fuzz(names) {
  if (names.length === 0) {
    console.error(`error: --only: no file of test/properties is named like that`);
    process.exitCode = 1;
    return;
  }
  console.log(`seed ${values.seed}, ${values.runs} runs: ${names.join(', ')}`);
  const jest = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', 'node_modules/jest/bin/jest.js'];
  const files = names.map((name) => join('test/properties', name));
  const child = spawn(process.execPath, [...jest, '--testTimeout', '86400000', '--runTestsByPath', ...files], {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, FUZZ_RUNS: values.runs, FUZZ_SEED: values.seed },
  });
  child.on('exit', (code) => {
    process.exitCode = code ?? 1;
    console.log(`seed ${values.seed}`);
  });
}
