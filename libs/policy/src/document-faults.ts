/**
 * zod's issues → findings, and the document without its faulty parts.
 *
 * All faults are to be reported at once: what has the wrong shape is cut out, and the rest is still compiled and
 * analysed, so that its faults come in the same answer.
 */
import type { z } from 'zod';
import type { FamilyKeys } from './conditions-schema.js';
import { isHeaderKey } from './content-facts.js';
import { isLimitKey } from './limit-facts.js';
import { policySchema, policySchemaFor, type PolicyDocument } from './document.js';
import { joinPointer, type Findings } from './findings.js';
import { nearest } from './nearest.js';
import { ACL_PHASES, FACTS, factNamed, PHASE_TABLE, type AclPhase, type FactDefinition } from './vocabulary.js';

type Issue = z.core.$ZodIssue;
type Path = readonly PropertyKey[];

export interface Shaped {
  /** The whole document, or what is left of it; undefined when nothing usable is. */
  readonly document: PolicyDocument | undefined;
  readonly complete: boolean;
}

function pointerOf(path: Path): string {
  return joinPointer('', ...path.map((segment) => (typeof segment === 'number' ? segment : String(segment))));
}

function valueAt(root: unknown, path: Path): unknown {
  let at: unknown = root;
  for (const segment of path) {
    if (typeof at !== 'object' || at === null) return undefined;
    at = (at as Record<PropertyKey, unknown>)[segment];
  }
  return at;
}

function show(value: unknown): string {
  if (value === null) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a mapping';
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return `\`${text.length > 60 ? `${text.slice(0, 57)}…` : text}\``;
}

/** What stands where only the name of a secret may stand is likely to be the secret: it is never told again. */
function isSecret(path: Path): boolean {
  return (
    (path[0] === 'routes' && path[2] === 'auth') ||
    ((path[0] === 'signing' || path[0] === 'sealing') && path[2] === 'key')
  );
}

/** The branch of a union that the author probably meant: the only one whose outermost type fits. */
function meantBranch(issue: Issue): readonly Issue[] | undefined {
  if (issue.code !== 'invalid_union') return undefined;
  const fitting = issue.errors.filter((branch) =>
    branch.every((inner) => inner.path.length > 0 || inner.code === 'unrecognized_keys'),
  );
  const withKnownKeys = fitting.filter(
    (branch) => !branch.some((inner) => inner.code === 'unrecognized_keys' && inner.path.length === 0),
  );
  const candidates = withKnownKeys.length > 0 ? withKnownKeys : fitting;
  return candidates.length === 1 ? candidates[0] : undefined;
}

class FaultWriter {
  /** Paths to cut out. */
  readonly faulty: Path[] = [];

  constructor(
    private readonly root: unknown,
    private readonly findings: Findings,
  ) {}

  write(issues: readonly Issue[], base: Path = []): void {
    for (const issue of issues) this.one(issue, [...base, ...issue.path]);
  }

  private one(issue: Issue, path: Path): void {
    const meant = meantBranch(issue);
    if (meant !== undefined && meant.length > 0) {
      this.write(meant, path);
      return;
    }
    if (issue.code === 'unrecognized_keys') {
      for (const key of issue.keys) this.unknownKey(path, key);
      return;
    }
    if (issue.code === 'invalid_key') {
      const key = String(path.at(-1));
      this.add('D5', path, `\`${key}\` is not a name, expected lower-case letters, digits and hyphens`, {
        what: 'key',
      });
    } else if (valueAt(this.root, path) === undefined) {
      this.add('D2', path, `missing \`${String(path.at(-1) ?? '')}\`, expected ${issue.message}`);
    } else {
      const written = isSecret(path) ? 'this' : show(valueAt(this.root, path));
      this.add('D3', path, `${written} can not stand here, expected ${issue.message}`);
    }
    this.faulty.push(path);
  }

  private unknownKey(parent: Path, key: string): void {
    const path = [...parent, key];
    this.faulty.push(path);
    const fact = factNamed(key);
    if (fact !== undefined && isConditions(parent)) {
      this.add('D6', path, notHere(parent, key, fact), { what: 'key' });
      return;
    }
    const first = parent[0] === 'acl' && parent.length === 3 ? firstPhaseWith(key) : undefined;
    if (first !== undefined) {
      const orLater = canBeDone(key, 'message') && first !== 'message' ? ' or later' : '';
      const message = `\`${key}\` can not be done in phase \`${phaseOf(parent)}\`, expected in phase \`${first}\`${orLater}`;
      this.add('D6', path, message, { what: 'key' });
      return;
    }
    const known = isConditions(parent) ? FACTS.map((each) => each.name) : knownKeys(parent);
    const guess = otherWord(key, known) ?? nearest(key, known);
    const hint = guess === undefined ? '' : `, did you mean \`${guess}\`?`;
    this.add('D1', path, `unknown key \`${key}\`${hint}`, { what: 'key', fix: guess });
  }

  private add(
    code: string,
    path: Path,
    message: string,
    place: { what?: 'key' | 'value'; fix?: string | undefined } = {},
  ): void {
    const finding = { code, severity: 'blocks' as const, pointer: pointerOf(path), message };
    this.findings.add(place.fix === undefined ? finding : { ...finding, fix: place.fix }, place.what ?? 'value');
  }
}

/** Why a fact that exists can not be asked for here. */
function notHere(parent: Path, key: string, fact: FactDefinition): string {
  const where = parent[0] === 'clients' ? '`clients` (before MAIL FROM)' : `phase \`${phaseOf(parent)}\``;
  if (fact.name === 'tag' || fact.name === 'client' || fact.evidence === true) {
    return `fact \`${key}\` can not be used in ${where}`;
  }
  return seesNoContent(parent, fact)
    ? `fact \`${key}\` is of the content, which ${where} never sees, expected ${insteadOf(key)}`
    : `fact \`${key}\` is not known in ${where}, expected in phase \`${fact.phase}\` or later`;
}

/** Routes and copies are chosen before DATA: what the content says reaches them by tags. */
function seesNoContent(parent: Path, { phase }: FactDefinition): boolean {
  return phase === 'message' && (parent[0] === 'routing' || parent[0] === 'copies');
}

function insteadOf(key: string): string {
  const tag = 'a `tag` that a message rule gives';
  return key === 'size' ? `\`size.declared\`, or ${tag}` : tag;
}

/** The first phase whose rules have the verdict or effect. */
function firstPhaseWith(key: string): AclPhase | undefined {
  return ACL_PHASES.find((phase) => canBeDone(key, phase));
}

function canBeDone(key: string, phase: AclPhase): boolean {
  return [...PHASE_TABLE[phase].verdicts, ...PHASE_TABLE[phase].effects].includes(key);
}

/** What other products call it. */
const OTHER_WORDS: Readonly<Record<string, string>> = {
  deny: 'reject',
  drop: 'reject',
  block: 'reject',
  refuse: 'reject',
  allow: 'accept',
  permit: 'accept',
  tempfail: 'defer',
  if: 'when',
  conditions: 'when',
  except: 'unless',
  from: 'sender',
  to: 'recipient',
  rcpt: 'recipient',
  ehlo: 'helo',
  client_address: 'ip',
  transports: 'routes',
  rules: 'acl',
};

function otherWord(key: string, known: readonly string[]): string | undefined {
  const word = Object.hasOwn(OTHER_WORDS, key) ? OTHER_WORDS[key] : undefined;
  return word !== undefined && known.includes(word) ? word : undefined;
}

function isConditions(path: Path): boolean {
  const last = path.at(-1);
  return last === 'when' || last === 'unless' || last === 'match' || last === 'given' || last === 'never';
}

function phaseOf(path: Path): string {
  return path[0] === 'acl' ? String(path[1]) : String(path[0]);
}

/** Keys that the schema knows at a path, by walking it beside the path. */
function knownKeys(path: Path): readonly string[] {
  let at: z.core.$ZodType | undefined = policySchema;
  for (const segment of path) at = at === undefined ? undefined : childOf(unwrap(at), segment);
  return at === undefined ? [] : keysOf(unwrap(at));
}

interface AnyDef {
  readonly type: string;
  readonly innerType?: z.core.$ZodType;
  readonly element?: z.core.$ZodType;
  readonly valueType?: z.core.$ZodType;
  readonly shape?: Readonly<Record<string, z.core.$ZodType>>;
  readonly options?: readonly z.core.$ZodType[];
}

function definition(schema: z.core.$ZodType): AnyDef {
  return schema._zod.def;
}

function unwrap(schema: z.core.$ZodType): z.core.$ZodType {
  const { innerType } = definition(schema);
  return innerType === undefined ? schema : unwrap(innerType);
}

function childOf(schema: z.core.$ZodType, segment: PropertyKey): z.core.$ZodType | undefined {
  const def = definition(schema);
  if (def.type === 'array') return def.element;
  if (def.type === 'record') return def.valueType;
  if (def.type === 'object') return def.shape?.[String(segment)];
  return def.options?.map((option) => childOf(unwrap(option), segment)).find((child) => child !== undefined);
}

function keysOf(schema: z.core.$ZodType): readonly string[] {
  const def = definition(schema);
  if (def.type === 'object') return Object.keys(def.shape ?? {});
  return (def.options ?? []).flatMap((option) => keysOf(unwrap(option)));
}

/** How deep below each section its removable items are. */
function removable(path: Path): Path {
  return path.slice(0, path[0] === 'acl' ? 3 : 2);
}

interface Remainder {
  readonly value: Record<string, unknown>;
  /** Translates a pointer into the remainder to one into the whole. */
  readonly original: (pointer: string) => string;
}

/** The document without what is at the paths. Items after a removed one move up, hence the translation. */
function without(root: unknown, paths: readonly Path[]): Remainder {
  const value = structuredClone(root) as Record<string, unknown>;
  const removed = new Map<string, Set<number>>();
  for (const path of paths) {
    const parent = valueAt(value, path.slice(0, -1));
    const last = path.at(-1);
    if (typeof parent !== 'object' || parent === null || last === undefined) continue;
    if (Array.isArray(parent)) {
      const at = pointerOf(path.slice(0, -1));
      removed.set(at, (removed.get(at) ?? new Set()).add(Number(last)));
    } else {
      Reflect.deleteProperty(parent, last);
    }
  }
  for (const [at, indexes] of removed) {
    const list = valueAt(value, at.split('/').slice(1)) as unknown[];
    list.splice(0, list.length, ...list.filter((_, index) => !indexes.has(index)));
  }
  return { value, original: (pointer) => originalPointer(pointer, removed) };
}

function originalPointer(pointer: string, removed: ReadonlyMap<string, ReadonlySet<number>>): string {
  let result = '';
  for (const segment of pointer.split('/').slice(1)) {
    const gaps = removed.get(result);
    let index = Number(segment);
    if (gaps === undefined || Number.isNaN(index)) {
      result += `/${segment}`;
      continue;
    }
    for (const gap of [...gaps].sort((a, b) => a - b)) if (gap <= index) index += 1;
    result += `/${String(index)}`;
  }
  return result;
}

/** Never told: nobody wrote it. */
export const STAND_IN_NAME = 'unwritten';

const STAND_INS: Readonly<Record<string, unknown>> = {
  policy: STAND_IN_NAME,
  listeners: { [STAND_IN_NAME]: { port: 0, exposure: 'internal' } },
  routing: [{ name: STAND_IN_NAME, route: STAND_IN_NAME }],
  routes: { [STAND_IN_NAME]: { file: { format: 'maildir', directory: STAND_IN_NAME } } },
};

/** Keys `header.<name>` in message rules and tests, `limit.<name>` in tests. */
function familyKeys(root: unknown): FamilyKeys {
  const items = (path: Path): readonly unknown[] => {
    const found = valueAt(root, path);
    return Array.isArray(found) ? found : [];
  };
  const rules = items(['acl', 'message']).flatMap((rule) => [valueAt(rule, ['when']), valueAt(rule, ['unless'])]);
  const given = items(['tests']).map((test) => valueAt(test, ['given']));
  const keysOfAll = (mappings: readonly unknown[]): readonly string[] =>
    mappings.flatMap((mapping) => (typeof mapping === 'object' && mapping !== null ? Object.keys(mapping) : []));
  return {
    headers: [...new Set(keysOfAll([...rules, ...given]).filter(isHeaderKey))],
    limits: [...new Set(keysOfAll(given).filter(isLimitKey))],
  };
}

/** Checks the shape; every fault of it becomes a finding. */
export function shapeDocument(value: unknown, findings: Findings): Shaped {
  const schema = policySchemaFor(familyKeys(value));
  const whole = schema.safeParse(value);
  if (whole.success) return { document: whole.data, complete: true };
  const writer = new FaultWriter(value, findings);
  writer.write(whole.error.issues);
  const nothing = { document: undefined, complete: false };
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return nothing;
  const keysOnly = writer.faulty.filter((path) => typeof path.at(-1) === 'string');
  for (const cut of [keysOnly, writer.faulty.map(removable), writer.faulty.map((path) => path.slice(0, 1))]) {
    const remainder = without(value, cut);
    const rest = schema.safeParse({ ...STAND_INS, ...remainder.value });
    if (rest.success) {
      findings.translate(remainder.original);
      return { document: rest.data, complete: false };
    }
  }
  return nothing;
}
