import type { PatchStep } from '#policy';
import { invalidRequest } from '../../http/validation.js';

const MAX_STEPS = 1_000;

/** RFC 6902, as OpenAPI describes it. */
export const JSON_PATCH_SCHEMA = {
  type: 'array',
  maxItems: MAX_STEPS,
  items: {
    type: 'object',
    required: ['op', 'path'],
    properties: {
      op: { type: 'string', enum: ['add', 'remove', 'replace', 'move', 'copy', 'test'] },
      path: { type: 'string' },
      from: { type: 'string' },
      value: {},
    },
  },
};

/** The steps of a JSON Patch. Members that an operation does not have are ignored, as the RFC wants it. */
export function readJsonPatch(body: unknown): readonly PatchStep[] {
  if (!Array.isArray(body)) throw refused('', 'expected a list of operations (RFC 6902)');
  if (body.length > MAX_STEPS) throw refused('', `expected at most ${MAX_STEPS} operations`);
  return body.map((step: unknown, index) => readStep(step, `/${index}`));
}

function readStep(step: unknown, at: string): PatchStep {
  if (typeof step !== 'object' || step === null) throw refused(at, 'expected an operation');
  const { op, path, from } = step as Readonly<Record<string, unknown>>;
  if (typeof path !== 'string') throw refused(`${at}/path`, 'expected a JSON pointer');
  switch (op) {
    case 'add':
    case 'replace':
    case 'test':
      if (!Object.hasOwn(step, 'value')) throw refused(`${at}/value`, `\`${op}\` needs a value`);
      return { op, path, value: (step as { value: unknown }).value };
    case 'remove':
      return { op, path };
    case 'move':
    case 'copy':
      if (typeof from !== 'string') throw refused(`${at}/from`, `\`${op}\` needs a JSON pointer in \`from\``);
      return { op, from, path };
    default:
      throw refused(`${at}/op`, 'expected `add`, `remove`, `replace`, `move`, `copy` or `test`');
  }
}

function refused(pointer: string, message: string): Error {
  return invalidRequest([{ code: 'invalid-field', pointer, message }]);
}
