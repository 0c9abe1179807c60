/** PostgreSQL goes away under load: clients are told so within a second, nothing crashes, and it recovers by itself. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { readMaildir } from '../support/maildir.js';
import { RunningPostern } from '../support/running-postern.js';
import { SmtpDialog } from '../support/smtp-dialog.js';
import type { DialogReply } from '../support/smtp-dialog.js';
import { testPolicy } from '../support/test-policy.js';
import { waitFor } from '../support/wait.js';
import { Workspace } from '../support/workspace.js';

const workspace = new Workspace('away');
let postern: RunningPostern;

beforeAll(async () => {
  postern = workspace.use(await RunningPostern.start({ dataDir: workspace.path('data'), policy: testPolicy() }));
}, 180_000);
afterAll(() => workspace.close(), 60_000);

interface Answered {
  readonly number: number;
  readonly code: number;
  readonly tookMs: number;
}

/** A client that sends numbered messages without pause, connecting again whenever it is sent away. */
class LoadingClient {
  readonly answers: Answered[] = [];
  #stopping = false;
  readonly #running: Promise<void>;

  constructor(
    private readonly port: number,
    private readonly firstNumber: number,
  ) {
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    let dialog: SmtpDialog | undefined;
    for (let number = this.firstNumber; !this.#stopping; number += 1) {
      const startedAt = performance.now();
      dialog ??= await SmtpDialog.open({ port: this.port, deadlineMs: 30_000 });
      const reply: DialogReply = await this.#one(dialog, number);
      this.answers.push({ number, code: reply.code, tookMs: performance.now() - startedAt });
      if (reply.code === 421 || reply.code === 0) {
        dialog.destroy();
        dialog = undefined;
      }
    }
    dialog?.destroy();
  }

  async #one(dialog: SmtpDialog, number: number): Promise<DialogReply> {
    if (!dialog.greeted) {
      const banner = await dialog.reply();
      if (banner.code !== 220) return banner;
      await dialog.command('EHLO load.test');
    }
    // A session that was ended says so here, with a 421 nobody asked for.
    const reset = await dialog.command('RSET');
    if (reset.code !== 250) return reset;
    const envelope = { sender: 'ann@client.test', recipients: ['bob@capture.test'] };
    return dialog.deliver(envelope, Buffer.from(`Subject: number ${String(number)}.\r\n\r\n`));
  }
}

/** Numbers of the messages in the Maildir, and how many copies of each. */
function arrivedNumbers(): Map<number, number> {
  const counts = new Map<number, number>();
  for (const content of readMaildir(postern.maildir('capture'))) {
    const number = Number(/^Subject: number (\d+)\./m.exec(content.toString('latin1'))?.[1]);
    counts.set(number, (counts.get(number) ?? 0) + 1);
  }
  return counts;
}

async function throughAnOutage(kill: () => void, firstNumber: number): Promise<void> {
  const gateway = postern.processId('gateway');
  const clients = [0, 1, 2, 3].map((index) => new LoadingClient(postern.port('inside'), firstNumber + index * 100_000));
  const all = (): Answered[] => clients.flatMap(({ answers }) => answers);
  const accepted = (): number => all().filter(({ code }) => code === 250).length;
  await waitFor('mail to flow', () => accepted() > 50, { deadlineMs: 60_000 });
  kill();
  await waitFor('refusals', () => all().some(({ code }) => code === 451 || code === 421));
  const during = accepted();
  await waitFor('mail to flow again', () => accepted() > during + 50, { deadlineMs: 60_000 });
  await Promise.all(clients.map((client) => client.stop()));
  expect(all().filter(({ code }) => ![250, 451, 421].includes(code))).toEqual([]);
  const slow = all().filter(({ code, tookMs }) => code !== 250 && tookMs > 1500);
  expect(slow).toEqual([]);
  expect(postern.processId('gateway')).toBe(gateway);
  const acknowledged = all().flatMap(({ number, code }) => (code === 250 ? [number] : []));
  await waitFor(
    'every acknowledged message',
    () => {
      const arrived = arrivedNumbers();
      return acknowledged.every((number) => arrived.has(number));
    },
    { deadlineMs: 60_000, everyMs: 250 },
  );
}

test('killed: 451 or 421 within a second, no crash, and everything acknowledged arrives', async () => {
  await throughAnOutage(() => {
    postern.signal('postgres', 'SIGQUIT');
  }, 0);
}, 180_000);

test('killed hard with its backends: the same', async () => {
  await throughAnOutage(() => {
    postern.signal('postgres', 'SIGKILL');
  }, 1_000_000);
}, 180_000);

test('the API says that the database is away, without a stack trace', async () => {
  postern.signal('postgres', 'SIGQUIT');
  const away = await waitFor(
    'an answer that is not a success',
    async () => {
      const answer = await postern.api.request('GET', '/v1/transactions');
      return answer.status >= 300 ? answer : undefined;
    },
    { everyMs: 5 },
  );
  expect(away.status).toBe(503);
  expect(away.headers.get('content-type')).toContain('application/problem+json');
  expect(away.text).not.toMatch(/\bat .*\.(ts|js):\d|node_modules/);
  await waitFor(
    'the API to answer again',
    async () => (await postern.api.request('GET', '/v1/transactions')).status === 200,
    {
      deadlineMs: 60_000,
    },
  );
}, 120_000);

/** Whether a new session can hand over a message now. */
async function accepts(): Promise<boolean> {
  const dialog = await SmtpDialog.open({ port: postern.port('inside') });
  try {
    if ((await dialog.reply()).code !== 220) return false;
    await dialog.command('EHLO again.test', 250);
    const envelope = { sender: 'ann@client.test', recipients: ['bob@capture.test'] };
    return (await dialog.deliver(envelope, Buffer.from('Subject: awake\r\n\r\n'))).code === 250;
  } finally {
    dialog.destroy();
  }
}

test('frozen: clients are told within seconds, and mail flows when it wakes up', async () => {
  await waitFor('mail to flow', accepts, { deadlineMs: 60_000, everyMs: 200 });
  const frozen = postern.processes().filter(({ command }) => command.includes('postgres'));
  const dialog = await SmtpDialog.start({ port: postern.port('inside'), deadlineMs: 30_000 });
  for (const { pid } of frozen) process.kill(pid, 'SIGSTOP');
  try {
    const envelope = { sender: 'ann@client.test', recipients: ['bob@capture.test'] };
    const reply = await dialog.deliver(envelope, Buffer.from('Subject: frozen\r\n\r\n'));
    expect([421, 451]).toContain(reply.code);
  } finally {
    for (const { pid } of frozen) process.kill(pid, 'SIGCONT');
  }
  dialog.destroy();
  await waitFor('mail to flow again', accepts, { deadlineMs: 60_000, everyMs: 200 });
}, 120_000);
