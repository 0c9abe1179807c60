import type { Request, Response } from 'express';
import { entityTag } from '../http/conditional.js';
import { Problem } from '../http/problem.js';
import { contextOf } from '../http/request-context.js';

export const YAML = 'application/yaml';

/** One body in two formats; `ApiBody` knows only one schema, so both are given as what a client sends: text. */
export const POLICY_BODY = {
  description: 'The whole policy, as YAML or as JSON. Kept as it is written, comments included.',
  schema: { type: 'string' },
} as const;

/** Of an answer that `represent` gives. */
export function inBothFormats(dto: string): Record<string, { schema: object }> {
  return {
    'application/json': { schema: { $ref: `#/components/schemas/${dto}` } },
    [YAML]: { schema: { type: 'string' } },
  };
}

export function policyText(request: Request): string {
  const { text } = contextOf(request);
  if (text === undefined) throw new Problem('malformed-body', 'the body must be a policy, as YAML or JSON');
  return text;
}

/** JSON unless the caller prefers YAML, which is the author's own text. */
export function represent<Body extends { readonly source: string }>(
  request: Request,
  response: Response,
  body: Body,
  state: string,
): Body | string {
  response.vary('Accept');
  const format = request.accepts('application/json', YAML);
  if (format === false) throw new Problem('not-acceptable', `there is \`application/json\` and \`${YAML}\``);
  response.setHeader('ETag', format === YAML ? entityTag(state, 'yaml') : entityTag(state));
  if (format !== YAML) return body;
  response.type(`${YAML}; charset=utf-8`);
  return body.source;
}
