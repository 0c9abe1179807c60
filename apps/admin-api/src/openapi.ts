import { createAdminApi } from './create-app.js';
import { DatabaseAccess } from './database-access.js';
import { createLogger } from './logger.js';
import { OpenApiHolder } from './openapi-holder.js';

/** Text of `openapi.json`, made from the code; needs no database. Written by `npm run gen`. */
export async function openApiText(): Promise<string> {
  const logger = createLogger('silent', 'openapi');
  const app = await createAdminApi({ database: new DatabaseAccess(), logger, maxPolicyBytes: 1024 });
  try {
    return `${JSON.stringify(app.get(OpenApiHolder).document, null, 2)}\n`;
  } finally {
    await app.close();
  }
}
