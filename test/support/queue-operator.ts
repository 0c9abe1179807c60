/** An operator of a running installation, with REST and CLI at hand, and somebody who sends mail to it. */
import { join } from 'node:path';
import type { ApiAnswer } from './admin-api.js';
import { runProgram, type ProgramResult } from './run-program.js';
import { PROJECT, type RunningPostern } from './running-postern.js';
import { SmtpDialog } from './smtp-dialog.js';
import { waitFor } from './wait.js';

export interface Entry {
  readonly id: string;
  readonly transaction: string;
  readonly recipient: string;
  readonly route: string;
  readonly state: string;
  readonly attempts: number;
}

export class QueueOperator {
  constructor(
    private readonly postern: RunningPostern,
    private readonly smtpPort: number,
  ) {}

  async send(recipient: string, subject: string, sender = 'ann@capture.test'): Promise<void> {
    const dialog = await SmtpDialog.start({ port: this.smtpPort });
    const content = Buffer.from(`From: ${sender}\r\nSubject: ${subject}\r\n\r\nbody\r\n`);
    const reply = await dialog.deliver({ sender, recipients: [recipient] }, content);
    await dialog.quit();
    if (reply.code !== 250) throw new Error(reply.text);
  }

  async entries(query: Readonly<Record<string, string>>): Promise<readonly Entry[]> {
    const path = `/v1/messages?${new URLSearchParams(query).toString()}`;
    return ((await this.postern.api.expectOk('GET', path)) as { data: Entry[] }).data;
  }

  entryWhen(recipient: string, state: string): Promise<Entry> {
    return waitFor(`${recipient} to be ${state}`, async () =>
      (await this.entries({ recipient })).find((it) => it.state === state),
    );
  }

  /** A message that its next hop deferred. */
  async deferred(recipient: string, subject: string): Promise<Entry> {
    await this.send(recipient, subject);
    return this.entryWhen(recipient, 'deferred');
  }

  change(id: string, verb: string, body: object = {}): Promise<ApiAnswer> {
    const headers = { Reason: 'ticket 4711' };
    return this.postern.api.request('POST', `/v1/messages/${id}:${verb}`, { body: JSON.stringify(body), headers });
  }

  cli(...args: readonly string[]): Promise<ProgramResult> {
    return runProgram(process.execPath, [join(PROJECT, 'dist/apps/cli/src/main.js'), ...args], {
      env: { PATH: process.env['PATH'] ?? '', POSTERN_DATA_DIR: this.postern.dataDir },
      stdin: Buffer.alloc(0),
      cwd: this.postern.dataDir,
    });
  }

  /** A new API key of this role. */
  async key(role: string): Promise<string> {
    const body = JSON.stringify({ name: role, role });
    return ((await this.postern.api.expectOk('POST', '/v1/api-keys', { body })) as { key: string }).key;
  }

  async state(transaction: string): Promise<string | undefined> {
    return (await this.postern.api.transaction(transaction)).recipients[0]?.state;
  }
}
