import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { AdminApiModule, type AdminApiParts } from './admin-api.module.js';
import { authentication } from './auth/authentication.js';
import { bodyReader } from './http/body.js';
import { RequestQuota, rateLimit } from './http/rate-limit.js';
import { requestContext } from './http/request-context.js';
import { securityHeaders } from './http/security-headers.js';
import { NestLogger } from './logger.js';
import { OpenApiHolder } from './openapi-holder.js';
import { describeApi } from './openapi-document.js';

const REQUESTS_PER_SECOND = 2_000;

/** Builds the application, ready to listen. Order of the middleware: a trace, headers, who asks, and only then the body. */
export async function createAdminApi(parts: AdminApiParts): Promise<NestExpressApplication> {
  const app = await NestFactory.create<NestExpressApplication>(AdminApiModule.with(parts), {
    bodyParser: false,
    logger: new NestLogger(parts.logger),
    abortOnError: false,
  });
  app.disable('x-powered-by');
  app.disable('etag'); // ETags here are states, not hashes of answers
  app.use(
    requestContext(parts.logger),
    securityHeaders,
    authentication(parts.database),
    rateLimit(new RequestQuota(parts.maxRequestsPerSecond ?? REQUESTS_PER_SECOND)),
    bodyReader(parts.maxPolicyBytes),
  );
  app.get(OpenApiHolder).document = describeApi(app);
  await app.init();
  return app;
}
