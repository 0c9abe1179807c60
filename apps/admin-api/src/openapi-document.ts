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
  return withSharedProblems({ ...document, paths: Object.fromEntries(paths) });
}

const METHODS = ['get', 'put', 'post', 'delete', 'patch'] as const;

/** Problems are answered alike everywhere: each is described once, and the operations refer to it. */
function withSharedProblems(document: OpenAPIObject): OpenAPIObject {
  const shared = new SharedResponses();
  const operations = Object.values(document.paths).flatMap((item) => METHODS.flatMap((method) => item[method] ?? []));
  for (const { responses } of operations) {
    for (const [status, response] of Object.entries(responses)) {
      if (JSON.stringify(response).includes('application/problem+json')) {
        responses[status] = shared.reference(status, response as object);
      }
    }
  }
  const components = { ...document.components, responses: shared.all } as NonNullable<OpenAPIObject['components']>;
  return { ...document, components };
}

class SharedResponses {
  readonly all: Record<string, object> = {};
  readonly #names = new Map<string, string>();

  reference(status: string, response: object): { $ref: string } {
    const text = `${status} ${JSON.stringify(response)}`;
    const name = this.#names.get(text) ?? this.#freeName(`Problem${status}`);
    this.#names.set(text, name);
    this.all[name] = response;
    return { $ref: `#/components/responses/${name}` };
  }

  #freeName(wanted: string): string {
    const taken = Object.keys(this.all).filter((name) => name.split('_')[0] === wanted).length;
    return taken === 0 ? wanted : `${wanted}_${taken + 1}`;
  }
}
