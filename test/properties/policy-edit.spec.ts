/** JSON Patch on a policy's text says what RFC 6902 says about its value (as `rfc6902` has it), and loses no comment. */
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { applyPatch, createPatch, type Operation } from 'rfc6902';
import { stringify } from 'yaml';
import { patchPolicy, type PatchStep } from '../../libs/policy/src/edit.js';
import { readText } from '../../libs/policy/src/read-yaml.js';

const word = fc.constantFrom('a', 'b', 'acl', 'name', 'x-y', 'with/slash', 'with~tilde');
const scalar = fc.oneof(
  fc.constantFrom('text', '550 5.7.1 No', "it's", 'a: b', '# no comment', '', 'yes', '10', 'null', ' x '),
  fc.integer({ min: -9, max: 99 }),
  fc.boolean(),
  fc.constant(null),
);
const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    scalar,
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(word, tie('value'), { maxKeys: 4 }),
  ),
}));
/** As every policy, it begins with its name: what stands above the first key belongs to that. */
const document = fc.dictionary(word, value, { maxKeys: 5 }).map((more) => ({ policy: 'main', ...more }));
const pointer = fc
  .array(fc.oneof(word, fc.constantFrom('0', '1', '2', '-')), { maxLength: 3 })
  .map((path) => path.map((part) => `/${part.replaceAll('~', '~0').replaceAll('/', '~1')}`).join(''));
const anyStep: fc.Arbitrary<PatchStep> = fc.oneof(
  fc.record({ op: fc.constantFrom('add' as const, 'replace' as const, 'test' as const), path: pointer, value }),
  fc.record({ op: fc.constant('remove' as const), path: pointer.filter((path) => path !== '') }),
  fc.record({ op: fc.constantFrom('move' as const, 'copy' as const), from: pointer, path: pointer }),
);

/** A comment above all, one above every top-level key, and one behind the text. */
function commented(text: string): string {
  return `# first\n\n${text.replaceAll(/^(?=[^\s-])/gmu, '# above\n')}# last\n`;
}

function valueOf(text: string): unknown {
  const read = readText(text);
  if (!read.ok) throw new Error(JSON.stringify(read.findings));
  return read.value;
}

test('what leads from one document to another leads there in the text, too', () => {
  fc.assert(
    fc.property(document, document, (before, after) => {
      const text = commented(stringify(before));
      const result = patchPolicy(text, createPatch(valueOf(text), after));
      if (!result.ok) throw new Error(JSON.stringify(result));
      expect(valueOf(result.text)).toEqual(after);
      expect(result.text.startsWith('# first\n')).toBe(true);
      expect(result.text.endsWith('# last\n')).toBe(true);
    }),
    { numRuns: 200 },
  );
});

test('any steps: done as the RFC has it, or refused where it refuses', () => {
  fc.assert(
    fc.property(document, fc.array(anyStep, { minLength: 1, maxLength: 3 }), (before, steps) => {
      const text = stringify(before);
      const oracle = { root: JSON.parse(JSON.stringify(before)) as unknown };
      const prefixed = steps.map((step) => ({
        ...step,
        path: `/root${step.path}`,
        ...('from' in step && { from: `/root${step.from}` }),
      })) as Operation[];
      const result = patchPolicy(text, steps);
      if (!result.ok) return; // stricter than the oracle: leading zeros, moves into oneself
      // A value that is moved or copied is one object twice for the oracle; ours are apart.
      for (const step of prefixed) {
        expect(applyPatch(oracle, [JSON.parse(JSON.stringify(step)) as Operation])).toEqual([null]);
        oracle.root = JSON.parse(JSON.stringify(oracle.root)) as unknown;
      }
      expect(valueOf(result.text)).toEqual(oracle.root);
    }),
    { numRuns: 300 },
  );
});
