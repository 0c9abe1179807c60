import type { PolicyRevision } from '#database';
import { policySection, POLICY_SECTIONS, readPolicy, sectionEntries, type PolicyDocument } from '#policy';

/** Who wrote a rule as it is: the revision since which it has not changed. */
export interface Introduced {
  readonly revision: number;
  readonly author: string;
  readonly at: string;
  readonly reason?: string;
  readonly sourceCommit?: string;
}

type Earlier = (number: number) => Promise<PolicyRevision | undefined>;

/** Reading a large policy takes long: an answer that comes too late is none. */
const EXPLAINING = { revisions: 200, ms: 1_500 };
/** Who asks for the origin of a rule wants nothing else. */
const ASKED_FOR = { revisions: 1_000, ms: 5_000 };

/**
 * Walks back from `from` until one of the rules reads differently, or is not there; rules of `ids` for which that takes
 * too long, and ids that are no rules, are left out.
 */
export async function introducedIn(
  from: PolicyRevision,
  ids: ReadonlySet<string>,
  earlier: Earlier,
): Promise<ReadonlyMap<string, Introduced>> {
  const found = new Map<string, Introduced>();
  const now = documentOf(from);
  const open = new Map([...ids].flatMap((id) => textOf(now, id).map((text) => [id, text] as const)));
  for await (const { last, before } of walk(from, earlier, EXPLAINING)) {
    for (const [id, text] of open) {
      if (before !== undefined && textOf(before, id)[0] === text) continue;
      found.set(id, introducedBy(last));
      open.delete(id);
    }
    if (open.size === 0) break;
  }
  return found;
}

/** Since which revision an entry reads as it does, and since which it is there at all, where the search comes so far. */
export async function originOf(
  from: PolicyRevision,
  { section, name }: { readonly section: string; readonly name: string },
  earlier: Earlier,
): Promise<{ readonly changed: PolicyRevision; readonly introduced?: PolicyRevision }> {
  const id = `${section}/${name}`;
  const [text] = textOf(documentOf(from), id);
  let changed: PolicyRevision | undefined;
  let oldest = from;
  for await (const { last, before } of walk(from, earlier, ASKED_FOR)) {
    oldest = last;
    const [was] = textOf(before, id);
    if (changed === undefined && was !== text) changed = last;
    if (was === undefined) return { changed: changed ?? last, introduced: last };
  }
  return { changed: changed ?? oldest };
}

/** Each revision with the document of the one before it; none before the first, and none for one that cannot be read. */
async function* walk(
  from: PolicyRevision,
  earlier: Earlier,
  most: { readonly revisions: number; readonly ms: number },
): AsyncGenerator<{ readonly last: PolicyRevision; readonly before: PolicyDocument | undefined }> {
  const deadlineMs = Date.now() + most.ms;
  let last: PolicyRevision | undefined = from;
  for (let step = 0; last !== undefined && step < most.revisions && Date.now() < deadlineMs; step += 1) {
    const before: PolicyRevision | undefined = last.revision === 1 ? undefined : await earlier(last.revision - 1);
    yield { last, before: before === undefined ? undefined : documentOf(before) };
    last = before;
  }
}

function introducedBy({ revision, author, createdAt, reason, sourceCommit }: PolicyRevision): Introduced {
  return {
    revision,
    author,
    at: createdAt.toISOString(),
    ...(reason !== undefined && { reason }),
    ...(sourceCommit !== undefined && { sourceCommit }),
  };
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
  if (document === undefined || !POLICY_SECTIONS.some(({ name }) => name === section)) return [];
  const entry = sectionEntries(document, policySection(section)).find(({ name }) => name === id.slice(slash + 1));
  return entry === undefined ? [] : [JSON.stringify(entry.value)];
}
