import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { describe, expect, it } from '@jest/globals';

const root = resolve(import.meta.dirname, '../..');
const tree = join(import.meta.dirname, 'violations');
const require = createRequire(import.meta.url);

/** File → sorted names of rules. A rule appears as often as it fires. */
type Caught = Record<string, string[]>;

const record = (caught: Caught, file: string, rule: string): void => {
  (caught[file] ??= []).push(rule);
  caught[file].sort();
};

function files(): string[] {
  return readdirSync(tree, { recursive: true, encoding: 'utf8' }).filter((name) =>
    /^(apps|libs|migrations).*\.ts$/.test(name),
  );
}

function expected(checker: 'lint' | 'fence'): Caught {
  const caught: Caught = {};
  for (const file of files()) {
    const line = new RegExp(`^// expect ${checker}: (.*)$`, 'm').exec(readFileSync(join(tree, file), 'utf8'))?.[1];
    if (line === undefined) continue;
    for (const rule of checker === 'lint' ? line.split(' ') : [line]) record(caught, file, rule);
  }
  return caught;
}

/** Checkers exit with 1 when they catch something; what counts is what they print. */
function output(script: string, args: string[]): Promise<string> {
  return new Promise((done, fail) => {
    execFile(process.execPath, [script, ...args], { cwd: tree, maxBuffer: 2 ** 26 }, (error, stdout, stderr) => {
      if (stdout.trim() === '') fail(error ?? new Error(stderr));
      else done(stdout);
    });
  });
}

describe('the fence', () => {
  it('has violations to catch', () => {
    expect(Object.keys(expected('lint')).length).toBeGreaterThan(10);
    expect(Object.keys(expected('fence')).length).toBeGreaterThan(25);
  });

  it('ESLint catches exactly what the files confess', async () => {
    interface Report {
      filePath: string;
      messages: { ruleId: string | null; message: string }[];
    }
    const text = await output(join(root, 'node_modules/eslint/bin/eslint.js'), [
      '--config',
      join(root, 'eslint.config.js'),
      '--format',
      'json',
      'apps',
      'libs',
      'migrations',
    ]);
    const caught: Caught = {};
    for (const { filePath, messages } of JSON.parse(text) as Report[]) {
      // Rules with types judge the planted files too; only the rules that confessions name are compared.
      for (const { ruleId, message } of messages) {
        if (ruleId === null) throw new Error(`${filePath}: ${message}`);
        if (!ruleId.startsWith('@typescript-eslint/')) record(caught, relative(tree, filePath), ruleId);
      }
    }
    expect(caught).toEqual(expected('lint'));
  }, 60_000);

  it('dependency-cruiser catches exactly what the files confess', async () => {
    interface Report {
      summary: { violations: { from: string; rule: { name: string } }[] };
    }
    const text = await output(join(root, 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs'), [
      '--config',
      join(root, '.dependency-cruiser.cjs'),
      '--output-type',
      'json',
      'apps',
      'libs',
      'migrations',
    ]);
    const caught: Caught = {};
    for (const { from, rule } of (JSON.parse(text) as Report).summary.violations) record(caught, from, rule.name);
    expect(caught).toEqual(expected('fence'));
  }, 60_000);

  it('has a rule for every room', () => {
    const { forbidden } = require(join(root, '.dependency-cruiser.cjs')) as { forbidden: { name: string }[] };
    const named = forbidden.map(({ name }) => name);
    for (const parent of ['libs', 'apps']) {
      for (const room of readdirSync(join(root, parent))) {
        if (room === 'admin-console') continue; // a browser program with a build of its own
        expect(named).toContain(`${parent}/${room}: libraries`);
        expect(named).toContain(`${parent}/${room}: packages`);
      }
    }
  });
});
