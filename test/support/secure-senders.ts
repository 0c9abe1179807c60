/**
 * One message by each client that nobody here wrote, with TLS and AUTH as wanted. The certificate and the name in it are
 * checked by the client. Each resolves when the client was told 250, and rejects with what the client said when not.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import nodemailer from 'nodemailer';
import { runProgram } from './run-program.js';
import type { ProgramResult } from './run-program.js';
import { stuffed } from './smtp-dialog.js';

export type TlsMode = 'none' | 'starttls' | 'implicit';

export interface SecureMail {
  /** A port of `localhost`. */
  readonly port: number;
  readonly sender: string;
  readonly recipient: string;
  /** CRLF line ends, no dot stuffing. */
  readonly content: Buffer;
  readonly tls: TlsMode;
  /** File of the authority that the client is to trust. */
  readonly authority: string;
  readonly auth?: { readonly mechanism: string; readonly username: string; readonly password: string };
}

export type SecureSender = (mail: SecureMail) => Promise<void>;

function judge(program: string, { code, stdout, stderr }: ProgramResult): void {
  if (code !== 0) throw new Error(`${program} ended with ${String(code)}: ${stdout}${stderr}`);
}

async function withFile<T>(content: Uint8Array | string, use: (file: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'client-'));
  try {
    const file = join(folder, 'content');
    writeFileSync(file, content);
    return await use(file);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const SWAKS_TLS: Readonly<Record<TlsMode, readonly string[]>> = {
  none: [],
  starttls: ['--tls'],
  implicit: ['--tls-on-connect'],
};

export const swaks: SecureSender = (mail) =>
  withFile(stuffed(mail.content), async (file) => {
    const { auth } = mail;
    const args = [
      ...['--server', 'localhost', '--port', String(mail.port), '--helo', 'swaks.test', '--timeout', '30'],
      ...['--from', mail.sender, '--to', mail.recipient, '--no-data-fixup', '--data', `@${file}`],
      ...SWAKS_TLS[mail.tls],
      ...(mail.tls === 'none' ? [] : ['--tls-verify', '--tls-ca-path', mail.authority]),
      ...(auth === undefined
        ? []
        : ['--auth', auth.mechanism, '--auth-user', auth.username, '--auth-password', auth.password]),
    ];
    judge('swaks', await runProgram('swaks', args));
  });

const MSMTP_TLS: Readonly<Record<TlsMode, readonly string[]>> = {
  none: ['--tls=off'],
  starttls: ['--tls=on', '--tls-starttls=on'],
  implicit: ['--tls=on', '--tls-starttls=off'],
};

export const msmtp: SecureSender = async (mail) => {
  const { auth } = mail;
  const args = [
    ...['--file=/dev/null', '--host=localhost', `--port=${String(mail.port)}`, '--domain=msmtp.test'],
    ...[`--from=${mail.sender}`, '--set-from-header=off', '--set-date-header=off', '--set-msgid-header=off'],
    ...MSMTP_TLS[mail.tls],
    ...(mail.tls === 'none' ? [] : [`--tls-trust-file=${mail.authority}`]),
    ...(auth === undefined
      ? ['--auth=off']
      : [`--auth=${auth.mechanism.toLowerCase()}`, `--user=${auth.username}`, '--passwordeval=printenv SECRET']),
    ...['--', mail.recipient],
  ];
  const stdin = Buffer.from(mail.content.toString('latin1').replaceAll('\r\n', '\n'), 'latin1');
  judge('msmtp', await runProgram('msmtp', args, { stdin, env: { ...process.env, SECRET: auth?.password ?? '' } }));
};

export const curl: SecureSender = (mail) =>
  withFile(mail.content, async (file) => {
    const { auth } = mail;
    const scheme = mail.tls === 'implicit' ? 'smtps' : 'smtp';
    const args = [
      ...['--silent', '--show-error', '--url', `${scheme}://localhost:${String(mail.port)}/curl.test`],
      ...['--mail-from', mail.sender, '--mail-rcpt', mail.recipient, '--upload-file', file],
      ...(mail.tls === 'starttls' ? ['--ssl-reqd'] : []),
      ...['--cacert', mail.authority],
      ...(auth === undefined
        ? []
        : ['--user', `${auth.username}:${auth.password}`, '--login-options', `AUTH=${auth.mechanism}`]),
    ];
    judge('curl', await runProgram('curl', args));
  });

export const nodeMailer: SecureSender = async (mail) => {
  const { auth } = mail;
  const transport = nodemailer.createTransport({
    host: 'localhost',
    port: mail.port,
    name: 'nodemailer.test',
    secure: mail.tls === 'implicit',
    requireTLS: mail.tls === 'starttls',
    ignoreTLS: mail.tls === 'none',
    tls: { ca: [readFileSync(mail.authority, 'utf8')] },
    ...(auth === undefined ? {} : { auth: { user: auth.username, pass: auth.password }, authMethod: auth.mechanism }),
  });
  try {
    await transport.sendMail({ envelope: { from: mail.sender, to: [mail.recipient] }, raw: mail.content });
  } finally {
    transport.close();
  }
};

const SMTPLIB = `
import json, smtplib, ssl, sys
mail = json.loads(sys.argv[1])
context = ssl.create_default_context(cafile=mail['authority'])
make = smtplib.SMTP_SSL if mail['tls'] == 'implicit' else smtplib.SMTP
extra = {'context': context} if mail['tls'] == 'implicit' else {}
with make('localhost', mail['port'], local_hostname='smtplib.test', timeout=30, **extra) as smtp:
    if mail['tls'] == 'starttls':
        smtp.starttls(context=context)
    smtp.ehlo()
    auth = mail.get('auth')
    if auth:
        smtp.user, smtp.password = auth['username'], auth['password']
        by = {'PLAIN': smtp.auth_plain, 'LOGIN': smtp.auth_login}[auth['mechanism']]
        smtp.auth(auth['mechanism'], by, initial_response_ok=mail['port'] % 2 == 0)
    smtp.sendmail(mail['sender'], [mail['recipient']], sys.stdin.buffer.read())
`;

/** With and without an initial response, by the parity of the port. */
export const smtplib: SecureSender = async (mail) => {
  const { content, ...rest } = mail;
  judge('python3', await runProgram('python3', ['-c', SMTPLIB, JSON.stringify(rest)], { stdin: content }));
};

const S_CLIENT_TLS: Readonly<Record<TlsMode, readonly string[]>> = {
  none: [],
  starttls: ['-starttls', 'smtp', '-name', 'openssl.test'],
  implicit: [],
};

/** OpenSSL's s_client with a dialog typed in, one line after the reply to the one before. */
export async function sClient(mail: SecureMail, moreArguments: readonly string[] = []): Promise<string> {
  const args = [
    ...['s_client', '-quiet', '-connect', `localhost:${String(mail.port)}`, '-servername', 'localhost'],
    ...['-CAfile', mail.authority, '-verify_return_error', '-verify_hostname', 'localhost'],
    ...S_CLIENT_TLS[mail.tls],
    ...moreArguments,
  ];
  const plain = Buffer.from(`\0${mail.auth?.username ?? ''}\0${mail.auth?.password ?? ''}`).toString('base64');
  const lines = [
    'EHLO openssl.test',
    ...(mail.auth === undefined ? [] : [`AUTH PLAIN ${plain}`]),
    `MAIL FROM:<${mail.sender}>`,
    `RCPT TO:<${mail.recipient}>`,
    'DATA',
    stuffed(mail.content).toString('latin1').slice(0, -2),
    'QUIT',
  ];
  // With STARTTLS the banner was for s_client itself.
  return typed(args, mail.tls === 'implicit' ? ['', ...lines] : lines);
}

/** Types the next line when the last reply is whole; an empty one waits for a reply only. */
function typed(args: readonly string[], lines: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn('openssl', args, { stdio: 'pipe' });
    const waiting = [...lines];
    let said = '';
    let errors = '';
    let read = 0;
    const deadline = setTimeout(() => child.kill('SIGKILL'), 30_000);
    const type = (): void => {
      const line = waiting.shift();
      if (line !== undefined && line !== '') child.stdin.write(`${line}\r\n`, 'latin1');
    };
    child.stdout.on('data', (chunk: Buffer) => {
      said += chunk.toString('latin1');
      for (let whole = LAST_LINE.exec(said.slice(read)); whole !== null; whole = LAST_LINE.exec(said.slice(read))) {
        read += whole.index + whole[0].length;
        if (whole[1]?.startsWith('5') === true) waiting.splice(0, waiting.length, 'QUIT');
        type();
      }
    });
    child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString('latin1')));
    child.stdin.on('error', () => undefined);
    child.on('error', reject);
    child.on('close', () => {
      clearTimeout(deadline);
      if (/^2\d\d [^\r\n]*Accepted/m.test(said)) resolve(said);
      else reject(new Error(`s_client: ${said}${errors}`));
    });
    if (lines[0] === '') waiting.shift();
    else type();
  });
}

const LAST_LINE = /^(\d{3}) .*\r\n/m;
