/** The disk of the data directory fills up: mail is deferred at once, nothing crashes, and it goes on when there is room. */
import { execFileSync } from 'node:child_process';
import { rmSync, statfsSync, writeFileSync } from 'node:fs';
import { afterAll, expect, test } from '@jest/globals';
import { availableAsRoot, describeIf } from '../support/foreign-programs.js';
import type { Availability } from '../support/foreign-programs.js';
import { readMaildir } from '../support/maildir.js';
import { RunningPostern } from '../support/running-postern.js';
import { SmtpDialog } from '../support/smtp-dialog.js';
import { testPolicy } from '../support/test-policy.js';
import { waitFor } from '../support/wait.js';
import { Workspace } from '../support/workspace.js';

const DISK_MB = 280;
const workspace = new Workspace('disk');
afterAll(() => workspace.close(), 60_000);

/** A small file system of its own; only root can have one, and not in every container. */
function smallDisk(): Availability {
  const root = availableAsRoot();
  if (!root.ok) return { ok: false, why: 'a small file system can only be mounted by root' };
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${String(DISK_MB)}m`, 'tmpfs', workspace.makeFolder('disk')], {
      stdio: 'pipe',
    });
    workspace.use({
      stop: () => Promise.resolve(execFileSync('umount', ['--lazy', workspace.path('disk')], { stdio: 'pipe' })),
    });
    return { ok: true };
  } catch {
    return { ok: false, why: 'a small file system cannot be mounted here' };
  }
}

describeIf(smallDisk(), 'a full disk', () => {
  test('is told to clients at once, and ends without a restart', async () => {
    const postern = workspace.use(
      await RunningPostern.start({ dataDir: workspace.path('disk/data'), policy: patientPolicy() }),
    );
    const gateway = postern.processId('gateway');
    const acknowledged: number[] = [];
    const send = async (number: number, sizeBytes: number): Promise<number> => {
      const dialog = await SmtpDialog.open({ port: postern.port('inside'), deadlineMs: 5_000 });
      try {
        const banner = await dialog.reply();
        if (banner.code !== 220) return banner.code;
        await dialog.command('EHLO full.test', 250);
        const content = `Subject: number ${String(number)}.\r\n\r\n${'x'.repeat(sizeBytes)}\r\n`;
        const envelope = { sender: 'a@client.test', recipients: ['b@capture.test'] };
        const { code } = await dialog.deliver(envelope, Buffer.from(content));
        if (code === 250) acknowledged.push(number);
        return code;
      } finally {
        dialog.destroy();
      }
    };
    expect(await send(0, 100)).toBe(250);

    const filler = workspace.path('disk/filler');
    fillUp(filler, workspace.path('disk'));
    const codes = new Set<number>();
    for (let number = 1; number <= 200; number += 1) codes.add(await send(number, number % 2 === 0 ? 100 : 200_000));
    // What still finds room in files PostgreSQL had already is accepted; nothing but that and a deferral is ever said.
    expect([...codes].filter((code) => ![250, 421, 451, 452].includes(code))).toEqual([]);
    expect([...codes].some((code) => code !== 250)).toBe(true);
    expect(postern.processId('gateway')).toBe(gateway);

    rmSync(filler);
    await waitFor('mail to be accepted again', async () => (await send(1000, 200_000)) === 250, {
      deadlineMs: 60_000,
      everyMs: 200,
    });
    await waitFor(
      'every acknowledged message',
      () => {
        const arrived = readMaildir(postern.maildir('capture')).join('');
        return acknowledged.every((number) => arrived.includes(`Subject: number ${String(number)}.`));
      },
      { deadlineMs: 60_000, everyMs: 250 },
    );
  }, 240_000);
});

/** Deliveries into the full disk are tried again every second. */
function patientPolicy(): unknown {
  return testPolicy([], {
    routes: {
      capture: { file: { format: 'maildir', directory: 'capture' }, retry: 'often' },
      elsewhere: { file: { format: 'maildir', directory: 'elsewhere' } },
    },
    retry: { often: { first: '1s', factor: 1, longest: '1s', 'give-up': '1h' } },
  });
}

function fillUp(file: string, disk: string): void {
  const { bavail, bsize } = statfsSync(disk);
  try {
    writeFileSync(file, Buffer.alloc(bavail * bsize + 1_000_000));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  }
}
