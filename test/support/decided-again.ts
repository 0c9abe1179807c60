/**
 * decision = f(facts, snapshot), for every transaction that a spec made: each is decided again from what was recorded, and
 * has to come out as it did. `RunningPostern.stop` asks, so that no spec can forget it.
 */
import type { AdminApi } from './admin-api.js';
import { HopelessError, waitFor } from './wait.js';

/** The newest so many: specs with more repeat themselves, and must not take minutes to end. */
const MOST = '100';

interface Explanation {
  readonly same: boolean;
  readonly differences: readonly unknown[];
}

/** What differs, transaction by transaction. Empty as well where the API does not answer: the spec has seen to that. */
export async function decidedOtherwise(api: AdminApi): Promise<readonly string[]> {
  const answer = await api.request('GET', `/v1/transactions?limit=${MOST}`).catch(() => undefined);
  if (answer === undefined || answer.status >= 500) return [];
  const { data } = answer.body as { readonly data: readonly { readonly id: string }[] };
  const differing: string[] = [];
  for (const { id } of data) {
    const { same, differences } = await explanationOf(api, id);
    if (!same) differing.push(`${id} ${JSON.stringify(differences)}`);
  }
  return differing;
}

/** The API may ask for patience. */
function explanationOf(api: AdminApi, id: string): Promise<Explanation> {
  return waitFor(`the explanation of ${id}`, async () => {
    const { status, body, text } = await api.request('GET', `/v1/transactions/${id}/explain`);
    if (status === 429) return undefined;
    if (status !== 200) throw new HopelessError(`${id} can not be explained: ${String(status)} ${text}`);
    return body as Explanation;
  });
}
