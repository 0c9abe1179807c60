import type { INestApplication } from '@nestjs/common';
import { DocumentBuilder, SwaggerModule, type OpenAPIObject } from '@nestjs/swagger';
import { ProblemDto } from './http/problem.dto.js';
import { LivePolicyDto, RevisionDto } from './policies/policy.dto.js';

/** Describes the application from its decorators: OpenAPI 3.1. */
export function describeApi(app: INestApplication): OpenAPIObject {
  const settings = new DocumentBuilder()
    .setOpenAPIVersion('3.1.0')
    .setTitle('Postern admin API')
    .setDescription(
      'Manages a Postern mail gateway: policy, managed lists, keys; reads queue and audit. Errors are RFC 9457 problem details.',
    )
    .setVersion('1')
    .setLicense('Apache-2.0', 'https://www.apache.org/licenses/LICENSE-2.0')
    .addBearerAuth({ type: 'http', scheme: 'bearer', description: 'API key' })
    .build();
  const document = SwaggerModule.createDocument(app, settings, {
    extraModels: [ProblemDto, LivePolicyDto, RevisionDto],
  });
  // `\:` keeps Express from reading `:check` as a parameter; a description has no such need.
  const paths = Object.entries(document.paths).map(([path, item]) => [path.replaceAll('\\', ''), item] as const);
  return { ...document, paths: Object.fromEntries(paths) };
}
