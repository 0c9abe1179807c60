import { readFile, writeFile } from 'node:fs/promises';
import { pathToFileURL } from 'node:url';
import { createAdminApi } from './create-app.js';
import { DatabaseAccess } from './database-access.js';
import { createLogger } from './logger.js';
import { OpenApiHolder } from './openapi-holder.js';

/** Text of `openapi.json`, made from the code; needs no database. */
export async function openApiText(): Promise<string> {
  const logger = createLogger('silent', 'openapi');
  const app = await createAdminApi({ database: new DatabaseAccess(), logger, maxPolicyBytes: 1024 });
  try {
    return `${JSON.stringify(app.get(OpenApiHolder).document, null, 2)}\n`;
  } finally {
    await app.close();
  }
}

/** `node dist/apps/admin-api/src/openapi.js FILE` writes it; with `--check`, says whether FILE is up to date. */
async function main(file: string, check: boolean): Promise<void> {
  const text = await openApiText();
  if (!check) await writeFile(file, text);
  else if ((await readFile(file, 'utf8')) !== text) {
    process.stderr.write(`${file} is out of date\n`);
    process.exitCode = 1;
  }
}

const [, program, file, flag] = process.argv;
if (program !== undefined && file !== undefined && import.meta.url === pathToFileURL(program).href) {
  await main(file, flag === '--check');
}
