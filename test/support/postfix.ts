/**
 * A real Postfix of its own, apart from the one the machine may have: its configuration, queue and mail live in one
 * folder, it listens on loopback ports only, and it needs root. It sends (with `sendmail` and a relay host), receives
 * (a virtual mailbox, a Maildir), or does both.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from './free-port.js';
import { programPath } from './program-path.js';
import { runProgram } from './run-program.js';
import { canConnect } from './smtp-sink.js';
import { HopelessError, waitFor } from './wait.js';

export interface PostfixOptions {
  /** Folder of this instance; made when missing. Keep the path short: sockets live below it. */
  readonly folder: string;
  readonly port?: number;
  readonly hostname?: string;
  /** Further or different lines of main.cf. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Parameters of the smtpd service, as `-o name=value`. */
  readonly smtpdProcesses?: number;
  /** Domain whose mail is kept in one Maildir, any local part. */
  readonly mailboxDomain?: string;
  /** Everything else goes there, as in `[127.0.0.1]:2525`. */
  readonly relayHost?: string;
}

export interface RunningPostfix {
  readonly folder: string;
  readonly config: string;
  readonly port: number;
  readonly version: string;
  /** Process id of its master: all others are its children. */
  readonly pid: number;
  /** Maildir of the mailbox domain, for whatever local part. */
  readonly mailbox: string;
  /** Hands a message to its `sendmail` program, as any program on the machine would. */
  sendmail(sender: string, recipients: readonly string[], content: Uint8Array): Promise<void>;
  log(): string;
  stop(): Promise<void>;
}

export async function startPostfix(options: PostfixOptions): Promise<RunningPostfix> {
  const port = options.port ?? (await freePort());
  const config = join(options.folder, 'etc');
  layOut(options, config, port);
  const child = spawn(programPath('postfix') ?? 'postfix', ['-c', config, 'start-fg'], {
    stdio: 'pipe',
    detached: true,
  });
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString('utf8')));
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString('utf8')));
  const log = (): string => said + readIfThere(join(options.folder, 'mail.log'));
  await waitFor(
    `Postfix on port ${String(port)}`,
    () => {
      if (child.exitCode !== null) throw new HopelessError(`Postfix ended: ${log()}`);
      return canConnect('127.0.0.1', port);
    },
    { deadlineMs: 30_000 },
  );
  return {
    folder: options.folder,
    config,
    port,
    version: (await postconf(config, 'mail_version')).trim(),
    pid: Number(readFileSync(join(options.folder, 'queue/pid/master.pid'), 'latin1').trim()),
    mailbox: join(options.folder, 'mail/all'),
    sendmail: (sender, recipients, content) => handToSendmail(config, { sender, recipients, content }),
    log,
    stop: () => stopPostfix(config, child),
  };
}

/** Compiles a lookup table next to its text file. */
export async function postmap(config: string, table: string): Promise<void> {
  const result = await runProgram('postmap', ['-c', config, table]);
  if (result.code !== 0) throw new Error(`postmap ${table}: ${result.stderr}`);
}

function layOut(options: PostfixOptions, config: string, port: number): void {
  const [uid, gid] = postfixAccount();
  for (const name of ['etc', 'queue', 'mail', 'lib']) mkdirSync(join(options.folder, name), { recursive: true });
  chmodSync(options.folder, 0o755);
  for (const name of ['mail', 'lib']) chownSync(join(options.folder, name), uid, gid);
  writeFileSync(join(config, 'main.cf'), mainCf(options, uid, gid));
  writeFileSync(join(config, 'master.cf'), masterCf(port, options.smtpdProcesses));
}

function mainCf(options: PostfixOptions, uid: number, gid: number): string {
  const settings: Record<string, string> = {
    compatibility_level: '3.6',
    queue_directory: join(options.folder, 'queue'),
    data_directory: join(options.folder, 'lib'),
    maillog_file: join(options.folder, 'mail.log'),
    maillog_file_prefixes: options.folder,
    myhostname: options.hostname ?? 'postfix.test',
    mydestination: '',
    mynetworks: '127.0.0.0/8 [::1]/128',
    inet_interfaces: '127.0.0.1',
    inet_protocols: 'ipv4',
    alias_maps: '',
    alias_database: '',
    smtp_dns_support_level: 'disabled',
    smtp_host_lookup: 'native',
    smtpd_peername_lookup: 'no',
    message_size_limit: '60000000',
    mailbox_size_limit: '0',
    virtual_mailbox_limit: '0',
    smtp_line_length_limit: '0',
    ...(options.relayHost === undefined ? {} : { relayhost: options.relayHost }),
    ...(options.mailboxDomain === undefined
      ? {}
      : {
          virtual_mailbox_domains: options.mailboxDomain,
          virtual_mailbox_base: join(options.folder, 'mail'),
          virtual_mailbox_maps: 'static:all/',
          virtual_uid_maps: `static:${String(uid)}`,
          virtual_gid_maps: `static:${String(gid)}`,
          virtual_minimum_uid: '1',
        }),
    ...options.settings,
  };
  return Object.entries(settings)
    .map(([name, value]) => `${name} = ${value}\n`)
    .join('');
}

function masterCf(port: number, smtpdProcesses: number | undefined): string {
  const limit = smtpdProcesses === undefined ? '-' : String(smtpdProcesses);
  return [
    `127.0.0.1:${String(port)} inet n - n - ${limit} smtpd`,
    'pickup unix n - n 60 1 pickup',
    'cleanup unix n - n - 0 cleanup',
    'qmgr unix n - n 300 1 qmgr',
    'rewrite unix - - n - - trivial-rewrite',
    'bounce unix - - n - 0 bounce',
    'defer unix - - n - 0 bounce',
    'trace unix - - n - 0 bounce',
    'verify unix - - n - 1 verify',
    'flush unix n - n 1000? 0 flush',
    'proxymap unix - - n - - proxymap',
    'smtp unix - - n - - smtp',
    'relay unix - - n - - smtp',
    'showq unix n - n - - showq',
    'error unix - - n - - error',
    'retry unix - - n - - error',
    'discard unix - - n - - discard',
    'local unix - n n - - local',
    'virtual unix - n n - - virtual',
    'anvil unix - - n - 1 anvil',
    'tlsmgr unix - - n 1000? 1 tlsmgr',
    'scache unix - - n - 1 scache',
    'postlog unix-dgram n - n - 1 postlogd',
    '',
  ].join('\n');
}

async function handToSendmail(
  config: string,
  mail: { sender: string; recipients: readonly string[]; content: Uint8Array },
): Promise<void> {
  const args = ['-C', config, '-i', '-f', mail.sender, '--', ...mail.recipients];
  const result = await runProgram('sendmail', args, {
    stdin: mail.content,
    env: { ...process.env, MAIL_CONFIG: config },
  });
  if (result.code !== 0) throw new Error(`sendmail: ${result.stderr}`);
}

async function postconf(config: string, name: string): Promise<string> {
  return (await runProgram('postconf', ['-c', config, '-h', name])).stdout;
}

async function stopPostfix(config: string, child: ChildProcess): Promise<void> {
  await runProgram('postfix', ['-c', config, 'stop']);
  await waitFor('Postfix to end', () => child.exitCode !== null || child.signalCode !== null);
}

function postfixAccount(): [number, number] {
  const line = readFileSync('/etc/passwd', 'latin1')
    .split('\n')
    .find((entry) => entry.startsWith('postfix:'));
  const [, , uid, gid] = (line ?? '').split(':');
  if (uid === undefined || gid === undefined) throw new Error('there is no account `postfix` in /etc/passwd');
  return [Number(uid), Number(gid)];
}

function readIfThere(file: string): string {
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
}
