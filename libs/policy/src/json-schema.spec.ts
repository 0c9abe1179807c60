/** What an editor is told: a sentence at every key, examples that are themselves allowed, words where only words may stand. */
import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect, test } from '@jest/globals';
import { policyJsonSchema } from './index.js';
import { KEY_DESCRIPTIONS } from './schema-descriptions.js';

interface Node {
  readonly $ref?: string;
  readonly $defs?: Readonly<Record<string, Node>>;
  readonly description?: string;
  readonly examples?: readonly unknown[];
  readonly properties?: Readonly<Record<string, Node>>;
  readonly patternProperties?: Readonly<Record<string, Node>>;
  readonly additionalProperties?: Node | false;
  readonly items?: Node;
  readonly anyOf?: readonly Node[];
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
}

const schema = policyJsonSchema() as Node;

interface Key {
  readonly path: string;
  /** Of the node, in the schema. */
  readonly pointer: string;
  readonly node: Node;
}

interface Place {
  readonly path: readonly string[];
  readonly pointer: string;
}

function resolve(node: Node, pointer = ''): readonly [Node, string] {
  const name = node.$ref?.slice('#/$defs/'.length);
  const found = name === undefined ? undefined : schema.$defs?.[name];
  return found === undefined ? [node, pointer] : [found, `/$defs/${name ?? ''}`];
}

const escaped = (key: string): string => encodeURIComponent(key.replaceAll('~', '~0').replaceAll('/', '~1'));

/** Every key of every object, each object once. */
function keys(node: Node, { path, pointer }: Place, seen = new Set<Node>()): readonly Key[] {
  const [target, at] = resolve(node, pointer);
  if (seen.has(target)) return [];
  seen.add(target);
  const under = [...path, '*'];
  const own = Object.entries(target.properties ?? {}).map(
    ([key, child]) => [child, { path: [...path, key], pointer: `${at}/properties/${escaped(key)}` }] as const,
  );
  const others: (readonly [Node, Place])[] = [
    ...Object.entries(target.patternProperties ?? {}).map(
      ([key, child]) => [child, { path, pointer: `${at}/patternProperties/${escaped(key)}` }] as const,
    ),
    ...(target.anyOf ?? []).map((child, index) => [child, { path, pointer: `${at}/anyOf/${String(index)}` }] as const),
  ];
  if (target.additionalProperties)
    others.push([target.additionalProperties, { path: under, pointer: `${at}/additionalProperties` }]);
  if (target.items !== undefined) others.push([target.items, { path: under, pointer: `${at}/items` }]);
  return [
    ...own.map(([child, place]) => ({ path: place.path.join('.'), pointer: place.pointer, node: child })),
    ...[...own, ...others].flatMap(([child, place]) => keys(child, place, seen)),
  ];
}

const all = keys(schema, { path: [], pointer: '' });

test('every key has a sentence', () => {
  expect(all.length).toBeGreaterThan(250);
  expect(all.filter(({ node }) => node.description === undefined).map(({ path }) => path)).toEqual([]);
  expect(all.filter(({ node }) => node.description?.startsWith('Expected: ') === true).map(({ path }) => path)).toEqual(
    [],
  );
});

test('every sentence is of a key that there is', () => {
  const said = new Set(all.map(({ path }) => path.replace(/^(acl|notices)\.[a-z]+(?=\.)/, '$1.*')));
  const lost = Object.keys(KEY_DESCRIPTIONS).filter(
    (path) => !path.startsWith('**') && !path.startsWith('acl.rcpt.') && !said.has(path),
  );
  expect(lost).toEqual([]);
});

test('every example is allowed where it stands', () => {
  const ajv = new Ajv2020({ strict: false });
  ajv.addSchema(schema, 'policy');
  const wrong = all.flatMap(({ path, pointer, node }) => {
    if (node.examples === undefined) return [];
    const valid = ajv.getSchema(`policy#${pointer}`);
    return node.examples.flatMap((example) =>
      valid?.(example) === true ? [] : [`${path}: ${JSON.stringify(example)}`],
    );
  });
  expect(wrong).toEqual([]);
  expect(all.filter(({ node }) => node.examples !== undefined).length).toBeGreaterThan(150);
});

test('words stand as words: an editor can offer them', () => {
  const at = (path: string): Node => resolve(all.find((key) => key.path === path)?.node ?? {})[0];
  expect(at('listeners.*.exposure').enum).toEqual(['internet', 'internal']);
  expect(at('acl.mail.*.answer').enum).toEqual(['now', 'at-rcpt']);
  expect(at('settings.audit.commit').const).toBe('before-reply');
  expect(all.find(({ path }) => path === 'tests.*.given.ip')?.node).toMatchObject({
    description: expect.stringMatching(/^Address of the client; .*\. Expected: a value of `ip`/) as unknown,
    examples: ['203.0.113.9'],
  });
});
