/** The JSON Schema of a policy document, generated from the same schema that checks it. For editors, and for other programs. */
import { z } from 'zod';
import { HEADER_FACT, HEADER_KEY_PATTERN } from './content-facts.js';
import { describeSchema, expectedBy } from './describe-schema.js';
import { policySchemaFor } from './document.js';
import { LIMIT_FACT, LIMIT_KEY_PATTERN } from './limit-facts.js';

export function policyJsonSchema(): Record<string, unknown> {
  const schema = z.toJSONSchema(policySchemaFor({ headers: [HEADER_FACT.name], limits: [LIMIT_FACT.name] }), {
    target: 'draft-2020-12',
    io: 'input',
    reused: 'ref',
    override: ({ zodSchema, jsonSchema }) => {
      const expected = expectedBy(zodSchema);
      if (expected !== undefined && jsonSchema.$ref === undefined) jsonSchema.description = expected;
      openFamily(jsonSchema, HEADER_FACT.name, HEADER_KEY_PATTERN);
      openFamily(jsonSchema, LIMIT_FACT.name, LIMIT_KEY_PATTERN);
    },
  });
  describeSchema(schema);
  return { ...schema, title: 'Postern policy', $id: 'https://postern.invalid/policy.schema.json' };
}

/** A stand-in key such as `header.<name>` → every key of that form. */
function openFamily(schema: z.core.JSONSchema.BaseSchema, standIn: string, pattern: string): void {
  const { properties } = schema;
  const family = properties?.[standIn];
  if (properties === undefined || family === undefined) return;
  Reflect.deleteProperty(properties, standIn);
  schema.patternProperties = { ...schema.patternProperties, [pattern]: family };
}
