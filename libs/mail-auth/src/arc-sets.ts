/** ARC fields in sets, one for each instance, complete and in sequence. RFC 8617 s4.2, s5.2 steps 1 and 3. */
import { fieldBody, type RawField } from './header-fields.js';

/** RFC 8617 s4.2.1. */
export const MAX_INSTANCE = 50;

export interface ArcSet {
  readonly results: RawField;
  readonly message: RawField;
  readonly seal: RawField;
}

export type ReadArcSets =
  | { readonly ok: true; readonly sets: readonly ArcSet[] }
  | { readonly ok: false; readonly instances: number; readonly why: string };

const KINDS = ['arc-authentication-results', 'arc-message-signature', 'arc-seal'];

export function readArcSets(fields: readonly RawField[]): ReadArcSets {
  const all = fields.filter(({ name }) => KINDS.includes(name));
  if (all.length > 3 * MAX_INSTANCE)
    return { ok: false, instances: MAX_INSTANCE, why: 'there are too many ARC fields' };
  const byPlace = new Map<string, RawField>();
  let instances = 0;
  for (const field of all) {
    const instance = instanceOf(field);
    if (instance === undefined || instance > MAX_INSTANCE) {
      return { ok: false, instances, why: `${field.name} has no \`i=\` from 1 to ${String(MAX_INSTANCE)}` };
    }
    instances = Math.max(instances, instance);
    const place = `${field.name} ${String(instance)}`;
    if (byPlace.has(place)) return { ok: false, instances, why: `${field.name} i=${String(instance)} is there twice` };
    byPlace.set(place, field);
  }
  const sets: ArcSet[] = [];
  for (let instance = 1; instance <= instances; instance += 1) {
    const [results, message, seal] = KINDS.map((kind) => byPlace.get(`${kind} ${String(instance)}`));
    if (results === undefined || message === undefined || seal === undefined) {
      return { ok: false, instances, why: `ARC set ${String(instance)} is not complete` };
    }
    sets.push({ results, message, seal });
  }
  return { ok: true, sets };
}

/** In seals and message signatures a tag among others; in ARC-Authentication-Results what the field begins with. */
function instanceOf(field: RawField): number | undefined {
  const body = fieldBody(field);
  const pattern = field.name === KINDS[0] ? /^\s*i\s*=\s*(\d{1,3})\s*;/i : /(?:^|;)\s*i\s*=\s*(\d{1,3})\s*(?:;|$)/;
  const digits = pattern.exec(body)?.[1];
  const instance = digits === undefined ? 0 : Number(digits);
  return instance > 0 ? instance : undefined;
}
