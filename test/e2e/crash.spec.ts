/**
 * `kill -9` of everything (supervisor, gateway, admin API, PostgreSQL) while messages have been acknowledged and not yet
 * delivered; then the same data directory is started again. Every acknowledged message has a number, and is counted.
 */
import { afterAll, expect, test } from '@jest/globals';
import { available, describeIf } from '../support/foreign-programs.js';
import { freePort } from '../support/free-port.js';
import { RunningPostern } from '../support/running-postern.js';
import type { PosternOptions } from '../support/running-postern.js';
import { SmtpDialog } from '../support/smtp-dialog.js';
import { startSink } from '../support/smtp-sink.js';
import type { RunningSink } from '../support/smtp-sink.js';
import { testPolicy } from '../support/test-policy.js';
import { waitFor } from '../support/wait.js';
import { Workspace } from '../support/workspace.js';

const workspace = new Workspace('crash');
afterAll(() => workspace.close(), 180_000);

const CLIENTS = 8;
/** Larger than what is kept in the database: its content lies in the spool. */
const LARGE_EVERY = 25;
const LARGE_BYTES = 300_000;

/** 1, 2, 3, … for all clients together. */
class Numbers {
  #last = 0;

  next(): number {
    return (this.#last += 1);
  }
}

/** Sends numbered messages one after the other until the connection ends; `acknowledged` gets the numbers answered 250. */
async function sendUntilCut(port: number, numbers: Numbers, acknowledged: Set<number>): Promise<void> {
  try {
    const dialog = await SmtpDialog.start({ port });
    for (;;) {
      const number = numbers.next();
      const filler = number % LARGE_EVERY === 0 ? 'x'.repeat(LARGE_BYTES) : 'short';
      const content = Buffer.from(`Subject: number ${String(number)}.\r\n\r\n${filler}\r\nend ${String(number)}\r\n`);
      const reply = await dialog.deliver({ sender: 'ann@client.test', recipients: ['bob@elsewhere.test'] }, content);
      if (reply.code === 250) acknowledged.add(number);
      if (reply.code === 0) return;
    }
  } catch {
    // The connection was cut, or nothing listens any more: what this spec is about.
  }
}

/** Copies of each numbered message at the sink; a message whose end is missing does not count. */
function arrivals(sink: RunningSink): Map<number, number> {
  const counts = new Map<number, number>();
  for (const { content } of sink.messages()) {
    const text = content.toString('latin1');
    const number = Number(/^Subject: number (\d+)\./m.exec(text)?.[1]);
    if (text.endsWith(`\r\nend ${String(number)}\r\n`)) counts.set(number, (counts.get(number) ?? 0) + 1);
  }
  return counts;
}

async function expectAll(sink: RunningSink, acknowledged: ReadonlySet<number>): Promise<{ twice: number }> {
  await waitFor(
    `all ${String(acknowledged.size)} acknowledged messages`,
    () => {
      const arrived = arrivals(sink);
      return [...acknowledged].every((number) => arrived.has(number));
    },
    { deadlineMs: 90_000, everyMs: 500 },
  ).catch((error: unknown) => {
    const arrived = arrivals(sink);
    const lost = [...acknowledged].filter((number) => !arrived.has(number));
    throw new Error(`lost ${String(lost.length)} of ${String(acknowledged.size)}: ${lost.slice(0, 20).join(' ')}`, {
      cause: error,
    });
  });
  return { twice: [...arrivals(sink).values()].filter((count) => count > 1).length };
}

describeIf(available('smtp-sink'), 'kill -9 of everything', () => {
  test('between 250 and delivery: every acknowledged message arrives, none twice', async () => {
    const port = await freePort();
    const options: PosternOptions = {
      dataDir: workspace.path('undelivered'),
      policy: testPolicy([{ host: '127.0.0.1', port }], {
        retry: { impatient: { first: '1s', factor: 1, longest: '1s', 'give-up': '10m' } },
      }),
    };
    const first = workspace.use(await RunningPostern.start(options));
    const acknowledged = new Set<number>();
    const numbers = new Numbers();
    const clients = Array.from({ length: CLIENTS }, () => sendUntilCut(first.port('inside'), numbers, acknowledged));
    await waitFor('acknowledged messages', () => acknowledged.size >= 300, { deadlineMs: 60_000 });
    await first.killEverything();
    await Promise.all(clients);
    const sink = workspace.use(await startSink({ port, keepIn: workspace.path('undelivered-sink') }));
    workspace.use(await RunningPostern.start(options));
    const { twice } = await expectAll(sink, acknowledged);
    expect(twice).toBe(0);
  }, 300_000);

  test('in the middle of deliveries, three times: all arrive, copies stay within what was in flight', async () => {
    const sink = workspace.use(await startSink({ keepIn: workspace.path('midway-sink') }));
    const options: PosternOptions = {
      dataDir: workspace.path('midway'),
      policy: testPolicy([{ host: '127.0.0.1', port: sink.port }]),
    };
    const acknowledged = new Set<number>();
    const numbers = new Numbers();
    for (let round = 1; round <= 3; round += 1) {
      const running = workspace.use(await RunningPostern.start(options));
      const clients = Array.from({ length: CLIENTS }, () =>
        sendUntilCut(running.port('inside'), numbers, acknowledged),
      );
      await waitFor('acknowledged messages', () => acknowledged.size >= round * 400, { deadlineMs: 60_000 });
      await running.killEverything();
      await Promise.all(clients);
    }
    workspace.use(await RunningPostern.start(options));
    const { twice } = await expectAll(sink, acknowledged);
    process.stderr.write(
      `killed three times: ${String(acknowledged.size)} acknowledged, ${String(twice)} arrived twice\n`,
    );
    expect(twice).toBeLessThan(0.5 * acknowledged.size);
  }, 300_000);

  test('of the gateway alone: the supervisor starts it again and nothing is lost', async () => {
    const sink = workspace.use(await startSink({ keepIn: workspace.path('gateway-sink') }));
    const port = await freePort();
    const policy = testPolicy([{ host: '127.0.0.1', port: sink.port }], {
      listeners: { inside: { address: '127.0.0.1', port, exposure: 'internal' } },
    });
    const running = workspace.use(await RunningPostern.start({ dataDir: workspace.path('gateway'), policy }));
    const acknowledged = new Set<number>();
    const numbers = new Numbers();
    for (let round = 1; round <= 2; round += 1) {
      const clients = Array.from({ length: CLIENTS }, () => sendUntilCut(port, numbers, acknowledged));
      await waitFor('acknowledged messages', () => acknowledged.size >= round * 300, { deadlineMs: 60_000 });
      running.signal('gateway', 'SIGKILL');
      await Promise.all(clients);
      await waitFor('the gateway to be back', async () => (await SmtpDialog.start({ port })).quit().then(() => true), {
        deadlineMs: 30_000,
      });
    }
    await expectAll(sink, acknowledged);
  }, 300_000);
});
