import type { ApiClient } from './api-client.js';

const LARGEST_PAGE = 500;

export interface Page<Entry> {
  readonly data: readonly Entry[];
  readonly next?: string;
}

/** Follows the cursor until `wanted` entries are there or the list ends. */
export async function collect<Entry>(
  api: ApiClient,
  path: string,
  query: Readonly<Record<string, string | undefined>>,
  wanted: number,
): Promise<Page<Entry>> {
  const data: Entry[] = [];
  let after: string | undefined;
  do {
    const limit = String(Math.min(LARGEST_PAGE, wanted - data.length));
    const page = await api.json<Page<Entry>>({ path, query: { ...query, limit, after } });
    data.push(...page.data);
    after = page.next;
  } while (after !== undefined && data.length < wanted);
  return { data, ...(after !== undefined && { next: after }) };
}
