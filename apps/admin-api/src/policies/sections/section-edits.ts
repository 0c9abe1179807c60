import { entryName, sectionEntries, type PatchStep, type PolicySection, type SectionEntry } from '#policy';
import { Problem } from '../../http/problem.js';
import { invalidRequest } from '../../http/validation.js';

/** The steps that make one change to one section. Pure; a change that does not fit is a problem. */
export type SectionEdit = (document: unknown, section: PolicySection) => readonly PatchStep[];

/** `name`: of an entry of a mapping; those of a list carry their own. */
export function creation(value: object, place: { readonly name?: string; readonly position?: string }): SectionEdit {
  return (document, section) => {
    const entries = sectionEntries(document, section);
    const name = place.name ?? entryName(value);
    if (name === '') throw invalidRequest([noName(section)]);
    if (entries.some((entry) => entry.name === name)) {
      throw new Problem('conflict', `\`${section.name}\` has an entry \`${name}\` already`);
    }
    if (section.kind === 'mapping') return atPath(document, section, name, value);
    const at = indexOf(place.position ?? 'last', entries, section);
    return entries.length === 0
      ? atPath(document, { ...section, path: section.path.slice(0, -1) }, section.path.at(-1) ?? '', [value])
      : [{ op: 'add', path: `${pointerOf(section.path)}/${at}`, value }];
  };
}

export function replacement(name: string, value: object): SectionEdit {
  return (document, section) => {
    const entry = entryNamed(document, section, name);
    refuseTaken(sectionEntries(document, section), section, { from: name, to: entryName(value) });
    return [{ op: 'replace', path: entry.pointer, value }];
  };
}

/** JSON Merge Patch (RFC 7396). */
export function merging(name: string, patch: object): SectionEdit {
  return (document, section) => {
    const entry = entryNamed(document, section, name);
    return replacement(name, merged(entry.value, patch) as object)(document, section);
  };
}

export function removal(name: string): SectionEdit {
  return (document, section) => [{ op: 'remove', path: entryNamed(document, section, name).pointer }];
}

export function moving(name: string, position: string): SectionEdit {
  return (document, section) => {
    const entries = sectionEntries(document, section);
    const entry = entryNamed(document, section, name);
    const from = entries.findIndex(({ pointer }) => pointer === entry.pointer);
    const others = entries.filter((_other, index) => index !== from);
    const to = indexOf(position, others, section);
    return to === from ? [] : [{ op: 'move', from: entry.pointer, path: `${pointerOf(section.path)}/${to}` }];
  };
}

export function entryNamed(document: unknown, section: PolicySection, name: string): SectionEntry {
  const found = sectionEntries(document, section).find((entry) => entry.name === name);
  if (found !== undefined) return found;
  throw new Problem('not-found', `the live policy has no \`${name}\` in \`${section.name}\``);
}

function indexOf(position: string, entries: readonly SectionEntry[], section: PolicySection): number {
  if (position === 'first') return 0;
  if (position === 'last') return entries.length;
  const colon = position.indexOf(':');
  const name = position.slice(colon + 1);
  const index = entries.findIndex((entry) => entry.name === name);
  if (index >= 0) return position.startsWith('before') ? index : index + 1;
  const message = `\`position\` names \`${name}\`, which is not another entry of \`${section.name}\``;
  throw invalidRequest([{ code: 'invalid-field', pointer: '/position', message }]);
}

function refuseTaken(
  entries: readonly SectionEntry[],
  section: PolicySection,
  { from, to }: { readonly from: string; readonly to: string },
): void {
  if (section.kind === 'mapping' || to === from) return;
  if (to === '') throw invalidRequest([noName(section)]);
  if (entries.some(({ name }) => name === to)) {
    throw new Problem('conflict', `\`${section.name}\` has another entry \`${to}\` already`);
  }
}

function noName(section: PolicySection): { code: string; pointer: string; message: string } {
  const key = section.name === 'domains' ? 'match' : 'name';
  return { code: 'invalid-field', pointer: `/${key}`, message: `\`${key}\` must be given` };
}

/** Adds below a path whose mappings may not be there yet. */
function atPath(document: unknown, section: PolicySection, key: string, value: unknown): readonly PatchStep[] {
  let found: unknown = document;
  for (const [depth, step] of section.path.entries()) {
    const inner: unknown = (found as Readonly<Record<string, unknown>>)[step];
    if (inner === undefined) {
      const missing = [...section.path.slice(depth + 1), key].reduceRight<unknown>(
        (below, name) => ({ [name]: below }),
        value,
      );
      return [{ op: 'add', path: pointerOf(section.path.slice(0, depth + 1)), value: missing }];
    }
    found = inner;
  }
  return [{ op: 'add', path: pointerOf([...section.path, key]), value }];
}

function pointerOf(path: readonly string[]): string {
  return path.map((key) => `/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}

function merged(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch;
  const base = typeof target === 'object' && target !== null && !Array.isArray(target) ? target : {};
  const result: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) Reflect.deleteProperty(result, key);
    else result[key] = merged(result[key], value);
  }
  return result;
}
