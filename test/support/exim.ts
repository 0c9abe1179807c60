/**
 * A real Exim of its own, unpacked rather than installed: TLS, AUTH and a Maildir for one domain, everything in one
 * folder. It needs root, and the account `Debian-exim` that its program was built for.
 */
import { spawn } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Credentials } from './certificates.js';
import { freePort } from './free-port.js';
import { programPath } from './program-path.js';
import { runProgram } from './run-program.js';
import { canConnect } from './smtp-sink.js';
import { HopelessError, waitFor } from './wait.js';

export interface EximOptions {
  readonly folder: string;
  readonly tls: Credentials;
  /** Name and password; only who signs in may send. */
  readonly user: readonly [name: string, password: string];
  readonly mailboxDomain: string;
}

export interface RunningExim {
  readonly port: number;
  readonly version: string;
  readonly mailbox: string;
  log(): string;
  stop(): Promise<void>;
}

export async function startExim(options: EximOptions): Promise<RunningExim> {
  const program = programPath('exim4');
  if (program === undefined) throw new Error('exim4 is not there');
  const { folder } = options;
  const port = await freePort();
  await layOut(options, program);
  const child = spawn(program, ['-C', join(folder, 'exim.conf'), '-bdf', '-oX', `127.0.0.1.${String(port)}`], {
    stdio: 'pipe',
  });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString('utf8')));
  const logFile = join(folder, 'mainlog');
  const log = (): string => said + (existsSync(logFile) ? readFileSync(logFile, 'utf8') : '');
  await waitFor(
    `Exim on port ${String(port)}`,
    () => {
      if (child.exitCode !== null) throw new HopelessError(`Exim ended: ${log()}`);
      return canConnect('127.0.0.1', port);
    },
    { deadlineMs: 30_000 },
  );
  const { stdout } = await runProgram(program, ['-C', join(folder, 'exim.conf'), '-bV']);
  return {
    port,
    version: /Exim version (\S+)/.exec(stdout)?.[1] ?? '',
    mailbox: join(folder, 'mail'),
    log,
    stop: async () => {
      child.kill('SIGTERM');
      await waitFor('Exim to end', () => child.exitCode !== null || child.signalCode !== null);
    },
  };
}

async function layOut(options: EximOptions, program: string): Promise<void> {
  const { folder, tls } = options;
  const account = async (kind: string): Promise<number> =>
    Number((await runProgram('id', [kind, 'Debian-exim'])).stdout.trim());
  const [uid, gid] = await Promise.all([account('-u'), account('-g')]);
  for (const name of ['spool', 'mail']) {
    mkdirSync(join(folder, name), { recursive: true });
    chownSync(join(folder, name), uid, gid);
  }
  chownSync(folder, uid, gid);
  chmodSync(folder, 0o755);
  writeFileSync(join(folder, 'certificate.pem'), tls.certificate);
  writeFileSync(join(folder, 'key.pem'), tls.key);
  chownSync(join(folder, 'key.pem'), uid, gid);
  writeFileSync(join(folder, 'exim.conf'), configuration(options, program));
}

function configuration({ folder, mailboxDomain, user: [name, password] }: EximOptions, program: string): string {
  const right = `\${if and{{eq{$auth2}{${name}}}{eq{$auth3}{${password}}}}}`;
  return `
exim_path = ${program}
spool_directory = ${folder}/spool
log_file_path = ${folder}/%slog
primary_hostname = exim.test
host_lookup =
rfc1413_hosts =
keep_environment =
tls_advertise_hosts = *
tls_certificate = ${folder}/certificate.pem
tls_privatekey = ${folder}/key.pem
auth_advertise_hosts = \${if eq{$tls_in_cipher}{}{}{*}}
log_selector = +tls_cipher +received_recipients +received_sender
acl_smtp_rcpt = rcpt
acl_smtp_data = data

begin acl
rcpt:
  require authenticated = *
  accept domains = ${mailboxDomain}
  deny message = relay not permitted
data:
  accept

begin routers
kept:
  driver = accept
  domains = ${mailboxDomain}
  transport = kept

begin transports
kept:
  driver = appendfile
  directory = ${folder}/mail
  maildir_format
  user = Debian-exim

begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${right}
  server_set_id = $auth2
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = Username:: : Password::
  server_condition = \${if and{{eq{$auth1}{${name}}}{eq{$auth2}{${password}}}}}
  server_set_id = $auth1
`;
}
