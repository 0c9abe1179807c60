/**
 * The JSON Schema as editors want it: a sentence and examples at every key, so that completion and hovering say what
 * docs/policy.md says. What is expected comes from the schema itself, facts from the vocabulary, the rest from one table.
 */
import { parse } from 'yaml';
import type { z } from 'zod';
import { KEY_DESCRIPTIONS, type KeyDescription } from './schema-descriptions.js';
import { factNamed, type FactDefinition } from './vocabulary.js';

export type JsonSchema = z.core.JSONSchema.BaseSchema;

/** What a zod schema says when something else stands there; undefined when it says nothing of its own. */
export function expectedBy(schema: z.core.$ZodType): string | undefined {
  const { error } = schema._zod.def;
  const said: unknown = error?.({
    code: 'invalid_type',
    expected: 'string',
    input: '',
    path: [],
    message: '',
  } as never);
  return typeof said === 'string' ? said : undefined;
}

/** Sentences at every key. `description` of a node is what it expects; only keys keep one. */
export function describeSchema(root: JsonSchema): void {
  new Describer(root).describe();
}

class Describer {
  private readonly described = new Set<JsonSchema>();
  private readonly visited = new Set<JsonSchema>();

  constructor(private readonly root: JsonSchema) {}

  describe(): void {
    const expected = new Map<JsonSchema, string>();
    eachNode(this.root, (node) => {
      if (node.description !== undefined) expected.set(node, node.description);
      delete node.description;
    });
    this.walk(this.root, [], expected);
  }

  private walk(node: JsonSchema, path: readonly string[], expected: ReadonlyMap<JsonSchema, string>): void {
    const target = this.resolve(node);
    if (this.visited.has(target)) return;
    this.visited.add(target);
    for (const [key, child] of entries(target.properties)) {
      const inner = [...path, key];
      this.sentence(child, inner, expected.get(child) ?? expected.get(this.resolve(child)));
      this.walk(child, inner, expected);
    }
    for (const child of Object.values(target.patternProperties ?? {})) this.walk(child as JsonSchema, path, expected);
    const under = [...path, '*'];
    for (const child of [target.additionalProperties, target.items]) {
      if (isSchema(child)) this.walk(child, under, expected);
    }
    for (const child of [...(target.anyOf ?? []), ...(target.oneOf ?? [])]) {
      if (isSchema(child)) this.walk(child, path, expected);
    }
  }

  private sentence(node: JsonSchema, path: readonly string[], expects: string | undefined): void {
    if (this.described.has(node)) return;
    this.described.add(node);
    const known = descriptionOf(path);
    const parts = [known?.text, expects === undefined ? undefined : `Expected: ${expects}`];
    const description = parts.filter((part) => part !== undefined).join('. ');
    if (description !== '') node.description = description;
    if (known?.examples !== undefined) node.examples = [...known.examples];
  }

  private resolve(node: JsonSchema): JsonSchema {
    const name = node.$ref?.slice('#/$defs/'.length);
    const found = name === undefined ? undefined : this.root.$defs?.[name];
    return found ?? node;
  }
}

const CONDITIONS: ReadonlySet<string> = new Set(['when', 'unless', 'match', 'given', 'never']);

/** The table's own words for the path; a fact's meaning where facts stand; words for the key wherever it stands. */
function descriptionOf(path: readonly string[]): KeyDescription | undefined {
  const own = KEY_DESCRIPTIONS[path.join('.')] ?? KEY_DESCRIPTIONS[withPhase(path).join('.')];
  if (own !== undefined) return own;
  const key = path.at(-1) ?? '';
  const fact = CONDITIONS.has(path.at(-2) ?? '') ? factNamed(key) : undefined;
  if (fact !== undefined) {
    const isGiven = path.at(-2) === 'given';
    return { text: capital(fact.meaning), examples: [isGiven ? givenExample(fact) : (parse(fact.example) as unknown)] };
  }
  for (let from = Math.max(0, path.length - 2); from < path.length; from += 1) {
    const common = KEY_DESCRIPTIONS[`**.${path.slice(from).join('.')}`];
    if (common !== undefined) return common;
  }
  return undefined;
}

/** Rules are described once for all phases, and notices once for all kinds. */
function withPhase(path: readonly string[]): readonly string[] {
  const [section, , ...rest] = path;
  return (section === 'acl' || section === 'notices') && rest.length > 0 ? [section, '*', ...rest] : path;
}

function capital(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

const GIVEN_EXAMPLES: Readonly<Record<FactDefinition['type'], string | number | boolean>> = {
  network: '203.0.113.9',
  domain: 'mail.example.com',
  address: 'ann@example.com',
  word: 'one',
  enum: 'unknown',
  name: 'unknown',
  number: 3,
  size: '20MB',
  boolean: true,
  time: '2026-06-15T22:15:00+02:00',
};

/** The value of one transaction, not a set that it is compared with. */
function givenExample({ type, names, values }: FactDefinition): string | number | boolean {
  return names === 'listener' ? 'mx' : (values?.[0] ?? GIVEN_EXAMPLES[type]);
}

function isSchema(value: unknown): value is JsonSchema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function entries(properties: JsonSchema['properties']): readonly (readonly [string, JsonSchema])[] {
  return Object.entries(properties ?? {}).filter((entry): entry is [string, JsonSchema] => isSchema(entry[1]));
}

function eachNode(node: unknown, visit: (schema: JsonSchema) => void): void {
  if (Array.isArray(node)) {
    for (const one of node) eachNode(one, visit);
  } else if (isSchema(node)) {
    visit(node);
    for (const [key, inner] of Object.entries(node)) for (const one of schemasUnder(key, inner)) eachNode(one, visit);
  }
}

function schemasUnder(keyword: string, value: unknown): readonly unknown[] {
  if (KEYWORD_MAPS.has(keyword)) return Object.values(value as object);
  return KEYWORD_SCHEMAS.has(keyword) ? [value] : [];
}

/** Keywords that hold schemas by name, and those that are schemas or lists of them. */
const KEYWORD_MAPS: ReadonlySet<string> = new Set(['properties', 'patternProperties', '$defs']);
const KEYWORD_SCHEMAS: ReadonlySet<string> = new Set([
  'additionalProperties',
  'propertyNames',
  'items',
  'prefixItems',
  'anyOf',
  'oneOf',
  'allOf',
]);
