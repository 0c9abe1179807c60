/**
 * One more client beside the load: one session, one message after the other with pauses, timed from MAIL to the 250
 * after the final dot. smtp-source itself reports no times.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { SmtpDialog } from '../test/support/smtp-dialog.js';
import type { Envelope } from '../test/support/smtp-dialog.js';

const PAUSE_MS = 40;

export interface RunningProbe {
  /** Ends after the message in progress; times in milliseconds, ascending. */
  stop(): Promise<number[]>;
}

export async function startProbe(port: number, envelope: Envelope, content: Buffer): Promise<RunningProbe> {
  const dialog = await SmtpDialog.start({ port, deadlineMs: 60_000 });
  const times: number[] = [];
  let stopping = false;
  const run = async (): Promise<void> => {
    while (!stopping) {
      const startedAt = performance.now();
      const reply = await dialog.deliver(envelope, content);
      if (reply.code !== 250) throw new Error(`the probe was answered: ${reply.text}`);
      times.push(performance.now() - startedAt);
      await delay(PAUSE_MS);
    }
  };
  const running = run();
  running.catch(() => undefined); // told by stop
  return {
    async stop() {
      stopping = true;
      await running;
      await dialog.quit();
      return times.sort((a, b) => a - b);
    },
  };
}

/** Nearest rank; undefined without values. */
export function percentile(ascending: readonly number[], percent: number): number | undefined {
  return ascending[Math.max(0, Math.ceil((percent / 100) * ascending.length) - 1)];
}
