/**
 * Every misdeed of a next hop, one route and one host each, all at once in one relay: first it misbehaves and then
 * mends its ways, then it never does and the mail is given up. In both the audit must tell the truth, the message must
 * end where it should, and the sender must hear of it exactly once where it should hear of it.
 */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RetryProfile } from '#delivery';
import { CertificateAuthority } from '../../../../test/support/certificates.js';
import type { Credentials } from '../../../../test/support/certificates.js';
import type { ForeignMx } from '../../../../test/support/foreign-mx.js';
import { plainMisdeeds, TLS_MISDEEDS, tlsMisdeeds } from '../../../../test/support/misdeeds.js';
import type { Misdeed } from '../../../../test/support/misdeeds.js';
import { FAST, hostAt, hosts, RelayHarness, told } from '../../../../test/support/relay-harness.js';
import type { StoryRow } from '../../../../test/support/relay-harness.js';
import { waitFor } from '../../../../test/support/wait.js';

const HOPELESS: RetryProfile = { firstMs: 20, factor: 1, longestMs: 20, giveUpMs: 1 };
const AT_ONCE = 12;
const SMALL = Buffer.from('Subject: hello\r\n\r\nworld\r\n');
const LARGE = Buffer.concat([SMALL, Buffer.from('x'.repeat(998).concat('\r\n').repeat(12_000))]);
const NAMES = [...plainMisdeeds().map(({ name }) => name), ...TLS_MISDEEDS];

interface Story {
  readonly misdeed: Misdeed;
  readonly rows: readonly StoryRow[];
  /** Contents that the host took. */
  readonly taken: readonly Buffer[];
  /** What became of the notices about it. */
  readonly notices: readonly (readonly StoryRow[])[];
}

const relay = new RelayHarness();
const mended = new Map<string, Story>();
const givenUp = new Map<string, Story>();
const failures: unknown[] = [];
let good: Credentials;

async function play(misdeed: Misdeed, route: string, retry: RetryProfile, mends: boolean): Promise<Story> {
  const mx = await relay.remote(misdeed.script);
  const tls = misdeed.tls === true ? { tls: { require: 'verified', authorities: 'inside' } as const } : {};
  const auth = misdeed.auth === true ? { auth: { secret: 'provider', withoutVerifiedTls: false } } : {};
  relay.routes[route] = hosts([hostAt(mx.port)], retry, { ...tls, ...auth });
  const bytes = misdeed.large === true ? LARGE : SMALL;
  const message = await relay.accept({ route, bytes });
  if (mends) await mend(mx, message.id);
  const rows = await relay.ended(message.id);
  const queued = rows.filter(({ kind }) => kind === 'bounce.queued');
  const notices = await Promise.all(queued.map(async ({ data }) => relay.ended(String(data['noticeId']))));
  const taken = mx.transactions.filter(({ accepted }) => accepted).map(({ content }) => content);
  return { misdeed, rows, taken, notices };
}

async function mend(mx: ForeignMx, id: string): Promise<void> {
  await waitFor('the first attempt', async () => (await relay.story(id)).length > 0);
  const tls = { server: { cert: good.certificate, key: good.key } };
  mx.script = { tls, extensions: ['PIPELINING', 'AUTH PLAIN'] };
}

beforeAll(async () => {
  const authority = await CertificateAuthority.create();
  good = await authority.issue({ addresses: ['127.0.0.1'] });
  const misdeeds = [...plainMisdeeds(), ...(await tlsMisdeeds(authority, good))];
  relay.timeoutFactor = 5;
  await relay.create();
  await relay.open();
  await mkdir(join(relay.directory, 'certificates', 'inside'), { recursive: true });
  await writeFile(join(relay.directory, 'certificates', 'inside', 'ca.pem'), authority.certificate);
  relay.secrets.set('provider', 'us:word');
  const plays = misdeeds.flatMap((misdeed, at) => [
    async () => mended.set(misdeed.name, await play(misdeed, `m${String(at)}`, FAST, true)),
    async () => givenUp.set(misdeed.name, await play(misdeed, `g${String(at)}`, HOPELESS, false)),
  ]);
  // A few at a time: the time-outs are short, and a crowd would make its own.
  const player = async (): Promise<void> => {
    for (let next = plays.shift(); next !== undefined; next = plays.shift())
      await next().catch(failures.push.bind(failures));
  };
  await Promise.all(Array.from({ length: AT_ONCE }, player));
}, 240_000);

afterAll(async () => {
  await relay.close();
  await relay.server.drop();
});

function storyOf(stories: ReadonlyMap<string, Story>, name: string): Story {
  const story = stories.get(name);
  if (story === undefined) throw new Error(`no story of ${name}`);
  return story;
}

it('there are many ways to misbehave', () => {
  expect(new Set(NAMES).size).toBe(NAMES.length);
  expect(NAMES.length).toBeGreaterThan(70);
  expect(failures).toEqual([]);
  expect([...mended.keys()].sort()).toEqual([...NAMES].sort());
});

describe.each(NAMES)('%s', (name) => {
  it('is told as it was, and the message ends well once the host does', () => {
    const { misdeed, rows, taken, notices } = storyOf(mended, name);
    const attempts = rows.filter(({ kind }) => kind.startsWith('delivery.'));
    const [first] = attempts;
    const kind = misdeed.permanent === true ? 'delivery.failed' : 'delivery.deferred';
    expect(told(attempts)[0]).toMatch(new RegExp(`^${kind} ${misdeed.stage}$`));
    expect(first?.data.reply).toMatch(misdeed.told);
    expect(Buffer.byteLength(String(first?.data.reply))).toBeLessThanOrEqual(512);
    expect(attempts.map(({ data }) => data['attempt'])).toEqual(attempts.map((_, at) => at + 1));
    if (misdeed.permanent === true) {
      expect([attempts.length, taken.length, notices.length]).toEqual([1, 0, 1]);
      return;
    }
    expect(told(attempts).at(-1)).toBe('delivery.succeeded content');
    expect(attempts.filter((row) => row.kind === 'delivery.succeeded')).toHaveLength(1);
    expect(notices).toEqual([]);
    const bytes = misdeed.large === true ? LARGE : SMALL;
    if (misdeed.uncertain !== true) expect(taken.length).toBe(1);
    expect(taken.at(-1)?.equals(bytes)).toBe(true);
  });

  it('is told to the sender exactly once when nothing helps', () => {
    const { misdeed, rows, taken, notices } = storyOf(givenUp, name);
    const attempts = rows.filter(({ kind }) => kind.startsWith('delivery.'));
    const last = misdeed.permanent === true ? 'delivery.failed' : 'delivery.expired';
    expect(attempts.at(-1)?.kind).toBe(last);
    expect(attempts.slice(0, -1).every(({ kind }) => kind === 'delivery.deferred')).toBe(true);
    expect(attempts.every(({ data }) => misdeed.told.test(String(data.reply)))).toBe(true);
    if (misdeed.uncertain !== true) expect(taken.length).toBe(0);
    expect(rows.filter(({ kind }) => kind.startsWith('bounce.')).map(({ kind }) => kind)).toEqual(['bounce.queued']);
    expect(notices.map((notice) => told(notice))).toEqual([['delivery.succeeded file']]);
  });
});
