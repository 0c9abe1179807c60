import type { PolicyRevision } from '#database';
import { readPolicy, type PolicyDocument } from '#policy';

/** Who wrote a rule as it is: the revision since which it has not changed. */
export interface Introduced {
  readonly revision: number;
  readonly author: string;
  readonly at: string;
  readonly reason?: string;
}

/** Reading a large policy takes long: an answer that comes too late is none. */
const MOST_REVISIONS = 200;
const MOST_MS = 1_500;

/**
 * Walks back from `from` until one of the rules reads differently, or is not there; rules of `ids` for which that takes
 * too long, and ids that are no rules, are left out.
 */
export async function introducedIn(
  from: PolicyRevision,
  ids: ReadonlySet<string>,
  revision: (number: number) => Promise<PolicyRevision | undefined>,
): Promise<ReadonlyMap<string, Introduced>> {
  const found = new Map<string, Introduced>();
  const now = documentOf(from);
  const open = new Map([...ids].flatMap((id) => textOf(now, id).map((text) => [id, text] as const)));
  const deadlineMs = Date.now() + MOST_MS;
  let last = from;
  for (let step = 0; open.size > 0 && step < MOST_REVISIONS && Date.now() < deadlineMs; step += 1) {
    const before = last.revision === 1 ? undefined : await revision(last.revision - 1);
    const document = before === undefined ? undefined : documentOf(before);
    for (const [id, text] of open) {
      if (document !== undefined && textOf(document, id)[0] === text) continue;
      found.set(id, introducedBy(last));
      open.delete(id);
    }
    if (before === undefined) break;
    last = before;
  }
  return found;
}

function introducedBy({ revision, author, createdAt, reason }: PolicyRevision): Introduced {
  return { revision, author, at: createdAt.toISOString(), ...(reason !== undefined && { reason }) };
}

/** Undefined for a revision that this version does not understand. */
function documentOf({ source }: PolicyRevision): PolicyDocument | undefined {
  const read = readPolicy(source);
  return read.ok ? read.document : undefined;
}

/** The rule as it is written, by its id `section/name`; nothing when there is none. */
function textOf(document: PolicyDocument | undefined, id: string): readonly string[] {
  const slash = id.indexOf('/');
  const section = id.slice(0, slash);
  const sections = {
    ...document?.acl,
    clients: document?.clients,
    routing: document?.routing,
    copies: document?.copies,
  };
  const rules = Object.hasOwn(sections, section) ? sections[section as keyof typeof sections] : undefined;
  const rule = rules?.find(({ name }) => name === id.slice(slash + 1));
  return rule === undefined ? [] : [JSON.stringify(rule)];
}
