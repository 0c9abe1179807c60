/** Clients that send numbered messages one after the other, and come back whenever they are cut off or put off. */
import { setTimeout as delay } from 'node:timers/promises';
import { SmtpDialog } from '../../test/support/smtp-dialog.js';
import type { Ledger } from './ledger.js';
import type { Randomness } from './randomness.js';

const AGAIN_MS = 100;
const REPLY_DEADLINE_MS = 20_000;
const LARGE_SHARE = 0.02;
const LARGE_BYTES = 200_000;
const SMALL_BYTES = 3_000;
const REJECTED_SHARE = 0.01;

export class Load {
  readonly #ports: () => readonly number[];
  readonly #ledger: Ledger;
  readonly #random: Randomness;
  readonly #clients: Promise<void>[] = [];
  /** Pause of a client after each message: what keeps a long run from filling the disk. */
  readonly #pauseMs: number;
  #stopped = false;

  constructor(ports: () => readonly number[], ledger: Ledger, how: { random: Randomness; pauseMs: number }) {
    this.#ports = ports;
    this.#ledger = ledger;
    this.#random = how.random;
    this.#pauseMs = how.pauseMs;
  }

  start(clients: number): void {
    for (let index = 0; index < clients; index += 1) this.#clients.push(this.#client(index));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#clients);
  }

  async #client(index: number): Promise<void> {
    while (!this.#stopped) {
      const ports = this.#ports();
      const port = ports[index % Math.max(1, ports.length)];
      if (port !== undefined) await this.#session(port).catch(() => undefined);
      await delay(AGAIN_MS);
    }
  }

  async #session(port: number): Promise<void> {
    const dialog = await SmtpDialog.open({ port, deadlineMs: REPLY_DEADLINE_MS });
    try {
      await dialog.expect(220);
      await dialog.command('EHLO client.test', 250);
      while (!this.#stopped) {
        const code = await this.#send(dialog);
        if (code === 0 || code === 421) return;
        if (code !== 250) {
          await dialog.command('RSET');
          await delay(AGAIN_MS);
        } else if (this.#pauseMs > 0) await delay(this.#pauseMs);
      }
      await dialog.quit();
    } finally {
      dialog.destroy();
    }
  }

  async #send(dialog: SmtpDialog): Promise<number> {
    const { number, content } = this.#ledger.write(this.#random.next() < LARGE_SHARE ? LARGE_BYTES : SMALL_BYTES);
    const recipient = this.#random.next() < REJECTED_SHARE ? 'reject@elsewhere.test' : 'bob@elsewhere.test';
    const { code } = await dialog.deliver({ sender: 'ann@client.test', recipients: [recipient] }, content);
    if (code === 250) this.#ledger.acknowledge(number);
    return code;
  }
}
