/** The audit against the account: read through the API, as an operator would. */
import type { AdminApi } from '../../test/support/admin-api.js';
import { waitFor } from '../../test/support/wait.js';

const PAGE = 500;
const QUEUE_EMPTY_MS = 30_000;
const STORIES = 100;

interface Summary {
  readonly id: string;
  readonly verdict: string;
  readonly subject?: string;
}

interface Story {
  readonly id: string;
  readonly recipients: readonly { readonly state: string }[];
}

interface Verification {
  readonly ok: boolean;
  readonly rows: number;
  readonly blocks: number;
  readonly faults: readonly { readonly kind: string; readonly message: string }[];
}

/** Sentences about what does not fit; none when all does. */
export async function auditFaults(
  api: AdminApi,
  { acknowledged, arrived }: { readonly acknowledged: ReadonlySet<number>; readonly arrived: ReadonlySet<number> },
): Promise<string[]> {
  await waitFor('an empty queue', async () => (await queued(api)).length === 0, {
    deadlineMs: QUEUE_EMPTY_MS,
    everyMs: 500,
  }).catch(() => undefined);
  const accepted = await acceptedNumbers(api);
  const faults: string[] = [];
  const unrecorded = [...acknowledged].filter((number) => !accepted.has(number));
  if (unrecorded.length > 0) faults.push(`acknowledged, and not in the audit: ${first(unrecorded)}`);
  const unknown = [...arrived].filter((number) => !accepted.has(number));
  if (unknown.length > 0) faults.push(`delivered, and not in the audit: ${first(unknown)}`);
  const undelivered = await undeliveredAmong(
    api,
    [...accepted].filter(([number]) => arrived.has(number)),
  );
  if (undelivered.length > 0)
    faults.push(`delivered, and the audit says otherwise: ${undelivered.slice(0, 10).join(', ')}`);
  const [left] = await queued(api);
  if (left !== undefined) faults.push(`still in the queue: ${JSON.stringify(left)}`);
  const report = (await api.expectOk('POST', '/v1/audit:verify', { body: '{}' })) as Verification;
  for (const { kind, message } of report.faults.slice(0, 5)) faults.push(`the audit's chain: ${kind}, ${message}`);
  return faults;
}

async function queued(api: AdminApi): Promise<readonly unknown[]> {
  return ((await api.expectOk('GET', '/v1/queue?limit=5')) as { data: unknown[] }).data;
}

/** Ids of accepted transactions by the number in their subject. */
async function acceptedNumbers(api: AdminApi): Promise<Map<number, string>> {
  const found = new Map<number, string>();
  let after: string | undefined;
  do {
    const path = `/v1/transactions?limit=${String(PAGE)}&verdict=accepted${after === undefined ? '' : `&after=${after}`}`;
    const page = (await api.expectOk('GET', path)) as { data: Summary[]; next?: string };
    for (const { id, subject } of page.data) {
      const number = /^number (\d+)\.$/.exec(subject ?? '')?.[1];
      if (number !== undefined) found.set(Number(number), id);
    }
    after = page.next;
  } while (after !== undefined);
  return found;
}

async function undeliveredAmong(api: AdminApi, numbers: readonly (readonly [number, string])[]): Promise<string[]> {
  const step = Math.max(1, Math.floor(numbers.length / STORIES));
  const faults: string[] = [];
  for (let index = 0; index < numbers.length; index += step) {
    const [number, id] = numbers[index] ?? [0, ''];
    const story = (await api.expectOk('GET', `/v1/transactions/${id}`)) as Story;
    const state = story.recipients[0]?.state;
    if (state !== 'delivered') faults.push(`number ${String(number)} is ${String(state)} (${id})`);
  }
  return faults;
}

function first(numbers: readonly number[]): string {
  return `${String(numbers.length)} (${numbers.slice(0, 10).join(', ')})`;
}
