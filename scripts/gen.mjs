// `npm run gen`: writes the references that are made from the code. `npm run check:gen` fails when one is out of date.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { prepare } from './lib/prepare.mjs';

const root = resolve(import.meta.dirname, '..');

const json = (value) => `${JSON.stringify(value, null, 2)}\n`;

/**
 * One line per reference: the file, the built module, and how its exports make the text. With `part`, the text replaces
 * what stands between `<!-- generated: NAME -->` and `<!-- end -->`.
 */
const REFERENCES = [
  { file: 'docs/replies.md', from: 'libs/smtp-core/src/index.js', text: (m) => m.renderReplyCatalogue() },
  { file: 'docs/smtp-states.md', from: 'libs/smtp-core/src/index.js', text: (m) => m.renderPhaseTable() },
  { file: 'docs/policy.schema.json', from: 'libs/policy/src/index.js', text: (m) => json(m.policyJsonSchema()) },
  { file: 'docs/policy.md', part: 'vocabulary', from: 'libs/policy/src/index.js', text: (m) => m.renderVocabulary() },
  { file: 'docs/audit.md', from: 'libs/audit/src/index.js', text: (m) => m.renderAuditEvents() },
  { file: 'docs/config.md', part: 'gateway', from: 'apps/gateway/src/config.js', text: (m) => m.renderConfig() },
  { file: 'docs/config.md', part: 'admin-api', from: 'apps/admin-api/src/config.js', text: (m) => m.renderConfig() },
  { file: 'openapi.json', from: 'apps/admin-api/src/openapi.js', text: (m) => m.openApiText() },
];

const checking = process.argv.includes('--check');
const wrong = [];
try {
  await prepare(root, { log: (line) => console.error(line) });
  for (const reference of REFERENCES) await refresh(reference);
} catch (error) {
  wrong.push(error.message);
}
for (const sentence of wrong) console.log(sentence);
process.exit(wrong.length > 0 ? 1 : 0);

async function refresh(reference) {
  const { file } = reference;
  const path = join(root, file);
  try {
    const before = existsSync(path) ? readFileSync(path, 'utf8') : '';
    const after = await formatted(file, place(before, reference, await textOf(reference)));
    if (before === after) return;
    if (checking) return void wrong.push(`${file} is out of date: npm run gen`);
    writeFileSync(path, after);
    console.log(`wrote ${file}`);
  } catch (error) {
    wrong.push(`${file}: ${error.message}`); // and the others still get their turn
  }
}

async function textOf({ from, text }) {
  return text(await import(pathToFileURL(join(root, 'dist', from)).href));
}

function place(before, { file, part }, text) {
  if (part === undefined) return text;
  const begin = `<!-- generated: ${part} -->`;
  const from = before.indexOf(begin);
  const to = before.indexOf('<!-- end -->', from);
  if (from < 0 || to < 0) throw new Error(`${file} needs the marks \`${begin}\` and \`<!-- end -->\``);
  return `${before.slice(0, from + begin.length)}\n\n${text.trim()}\n\n${before.slice(to)}`;
}

/** The check of the format must agree with the check of the content. */
async function formatted(file, text) {
  if (!file.endsWith('.md')) return text;
  return format(text, { ...(await resolveConfig(join(root, file))), parser: 'markdown' });
}
