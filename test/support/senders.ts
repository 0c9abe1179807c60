/**
 * One message by each client that nobody here wrote. Each resolves when the client was told 250, and rejects with what
 * the client said when it was told anything else.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import nodemailer from 'nodemailer';
import { runProgram } from './run-program.js';
import { stuffed } from './smtp-dialog.js';

export interface OutgoingMail {
  readonly host?: string;
  readonly port: number;
  readonly sender: string;
  readonly recipients: readonly string[];
  /** CRLF line ends, no dot stuffing. */
  readonly content: Buffer;
}

export type Sender = (mail: OutgoingMail) => Promise<void>;

/** `-ndf`: swaks sends the file as it is, so stuffing and the final dot are ours; the dialog is swaks'. */
export const sendBySwaks: Sender = async (mail) => {
  const folder = mkdtempSync(join(tmpdir(), 'swaks-'));
  try {
    const file = join(folder, 'content');
    writeFileSync(file, stuffed(mail.content));
    const result = await runProgram('swaks', [
      ...[
        '--server',
        mail.host ?? '127.0.0.1',
        '--port',
        String(mail.port),
        '--helo',
        'swaks.test',
        '--from',
        mail.sender,
      ],
      ...['--to', mail.recipients.join(','), '--no-data-fixup', '--data', `@${file}`, '--timeout', '60'],
    ]);
    if (result.code !== 0) throw new Error(`swaks ended with ${String(result.code)}: ${result.stdout}${result.stderr}`);
  } finally {
    rmSync(folder, { recursive: true });
  }
};

export const sendByMsmtp: Sender = async (mail) => {
  const result = await runProgram(
    'msmtp',
    [
      ...[
        `--host=${mail.host ?? '127.0.0.1'}`,
        `--port=${String(mail.port)}`,
        '--domain=msmtp.test',
        `--from=${mail.sender}`,
      ],
      ...[
        '--tls=off',
        '--auth=off',
        '--set-from-header=off',
        '--set-date-header=off',
        '--set-msgid-header=off',
        '--remove-bcc-headers=off',
      ],
      ...['--', ...mail.recipients],
    ],
    { stdin: withLf(mail.content) },
  );
  if (result.code !== 0) throw new Error(`msmtp ended with ${String(result.code)}: ${result.stderr}`);
};

export const sendByNodemailer: Sender = async (mail) => {
  const transport = nodemailer.createTransport({
    host: mail.host ?? '127.0.0.1',
    port: mail.port,
    name: 'nodemailer.test',
    ignoreTLS: true,
  });
  try {
    await transport.sendMail({ envelope: { from: mail.sender, to: [...mail.recipients] }, raw: mail.content });
  } finally {
    transport.close();
  }
};

function withLf(content: Buffer): Buffer {
  return Buffer.from(content.toString('latin1').replaceAll('\r\n', '\n'), 'latin1');
}
