/** The kernel as witness: between the final dot of a message and its 250, PostgreSQL has flushed to the disk. */
import { readdirSync } from 'node:fs';
import { afterAll, expect, test } from '@jest/globals';
import { describeIf } from '../support/foreign-programs.js';
import { RunningPostern } from '../support/running-postern.js';
import { SmtpDialog } from '../support/smtp-dialog.js';
import { traceCalls, whyNoTrace, type SystemCall } from '../support/system-calls.js';
import { testPolicy } from '../support/test-policy.js';
import { Workspace } from '../support/workspace.js';

const workspace = new Workspace('flush');
afterAll(() => workspace.close(), 60_000);

const FLUSHED = /^(?:f(?:data)?sync\(\d+\)|<\.\.\. f(?:data)?sync resumed>\)) += 0$/;
const ACCEPTED = /^writev?\(\d+, (?:\[\{iov_base=)?"250 2\.0\.0 Accepted/;
const MESSAGES = 5;

/** Flushes, in this order, between the read of each final dot and the write of its 250; the gateway's own do not count. */
function flushesPerMessage(calls: readonly SystemCall[], gateway: readonly number[]): number[] {
  const counts: number[] = [];
  let flushes: number | undefined;
  for (const { pid, text } of calls) {
    const isGateway = gateway.includes(pid);
    if (isGateway && text.includes('\\r\\n.\\r\\n"')) flushes = 0;
    else if (flushes === undefined) continue;
    else if (isGateway && ACCEPTED.test(text)) {
      counts.push(flushes);
      flushes = undefined;
    } else if (!isGateway && FLUSHED.test(text)) flushes += 1;
  }
  return counts;
}

const why = whyNoTrace();
describeIf(why === undefined ? { ok: true } : { ok: false, why }, 'a 250', () => {
  test('is written after a flush that began after the final dot was read', async () => {
    const postern = workspace.use(
      await RunningPostern.start({ dataDir: workspace.path('data'), policy: testPolicy() }),
    );
    const gateway = postern.processId('gateway') ?? 0;
    const watched = postern.processes().filter(({ command }) => /main\.js|postgres/.test(command));
    const trace = await traceCalls(
      watched.map(({ pid }) => pid),
      workspace.path('calls'),
    );
    const dialog = await SmtpDialog.start({ port: postern.port('inside') });
    for (let number = 1; number <= MESSAGES; number += 1) {
      const content = Buffer.from(`Subject: ${String(number)}\r\n\r\nshort\r\n`);
      const envelope = { sender: 'ann@client.test', recipients: ['bob@capture.test'] };
      expect((await dialog.deliver(envelope, content)).code).toBe(250);
    }
    await dialog.quit();
    const threads = readdirSync(`/proc/${String(gateway)}/task`).map(Number);
    const counts = flushesPerMessage(await trace.stop(), threads);
    expect(counts).toHaveLength(MESSAGES);
    expect(Math.min(...counts)).toBeGreaterThanOrEqual(1);
    await postern.stop();
  }, 120_000);
});

test('the witness would tell of a 250 without a flush', () => {
  const call = (pid: number, text: string): SystemCall => ({ pid, text });
  const dot = call(1, 'read(20, "x\\r\\n.\\r\\n", 65536) = 6');
  const reply = call(1, 'write(20, "250 2.0.0 Accepted 01\\r\\n", 24) = 24');
  const flush = call(2, 'fdatasync(9) = 0');
  const written = call(1, 'writev(23, [{iov_base="{\\"reply\\":\\"250 2.0.0 Accepted 01\\"}", iov_len=9}], 1) = 9');
  expect(flushesPerMessage([flush, dot, reply, flush], [1])).toEqual([0]);
  expect(flushesPerMessage([dot, written, flush, reply], [1])).toEqual([1]);
  expect(flushesPerMessage([dot, call(2, 'fdatasync(9) = -1 EIO (Input/output error)'), reply], [1])).toEqual([0]);
});
