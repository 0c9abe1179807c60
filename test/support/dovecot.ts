/**
 * A real Dovecot of its own: LMTP on a loopback port, and its SASL for a Postfix beside it. Everything lies in one
 * folder; it needs root. It may be unpacked somewhere (`dpkg -x`) instead of installed: PATH decides.
 */
import { spawn } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Credentials } from './certificates.js';
import { freePort } from './free-port.js';
import { programPath } from './program-path.js';
import { canConnect } from './smtp-sink.js';
import { HopelessError, waitFor } from './wait.js';

export interface DovecotOptions {
  readonly folder: string;
  /** Name and password; each name is a mailbox too. */
  readonly users: Readonly<Record<string, string>>;
  readonly tls: Credentials;
}

export interface RunningDovecot {
  readonly lmtpPort: number;
  readonly lmtpSocket: string;
  /** Socket of its SASL, as `smtpd_sasl_path` wants it. */
  readonly authSocket: string;
  mailbox(user: string): string;
  log(): string;
  stop(): Promise<void>;
}

/** `nobody`: mail belongs to somebody who is not root. */
const NOBODY = 65_534;

export async function startDovecot(options: DovecotOptions): Promise<RunningDovecot> {
  const program = programPath('dovecot');
  if (program === undefined) throw new Error('dovecot is not installed');
  const { folder } = options;
  const port = await freePort();
  const library = join(dirname(program), '..', 'lib', 'dovecot');
  layOut(options, library, port);
  const env = { ...process.env, LD_LIBRARY_PATH: library };
  const child = spawn(program, ['-F', '-c', join(folder, 'dovecot.conf')], { stdio: 'pipe', env });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString('utf8')));
  const logFile = join(folder, 'dovecot.log');
  const log = (): string => said + (existsSync(logFile) ? readFileSync(logFile, 'utf8') : '');
  await waitFor(
    `Dovecot on port ${String(port)}`,
    () => {
      if (child.exitCode !== null) throw new HopelessError(`Dovecot ended: ${log()}`);
      return canConnect('127.0.0.1', port);
    },
    { deadlineMs: 30_000 },
  );
  return {
    lmtpPort: port,
    lmtpSocket: join(folder, 'lmtp.sock'),
    authSocket: join(folder, 'auth.sock'),
    mailbox: (user) => join(folder, 'mail', user),
    log,
    stop: async () => {
      child.kill('SIGTERM');
      await waitFor('Dovecot to end', () => child.exitCode !== null || child.signalCode !== null);
    },
  };
}

function layOut({ folder, users, tls }: DovecotOptions, library: string, port: number): void {
  for (const name of ['run', 'state', 'mail']) mkdirSync(join(folder, name), { recursive: true });
  chmodSync(folder, 0o755);
  chownSync(join(folder, 'mail'), NOBODY, NOBODY);
  writeFileSync(join(folder, 'certificate.pem'), tls.certificate);
  writeFileSync(join(folder, 'key.pem'), tls.key);
  const entries = Object.entries(users).map(
    ([name, password]) =>
      `${name}:{PLAIN}${password}:${String(NOBODY)}:${String(NOBODY)}::${join(folder, 'mail', name)}\n`,
  );
  writeFileSync(join(folder, 'users'), entries.join(''));
  writeFileSync(join(folder, 'dovecot.conf'), configuration(folder, library, port));
}

function configuration(folder: string, library: string, port: number): string {
  return `
base_dir = ${folder}/run
state_dir = ${folder}/state
libexec_dir = ${library}
mail_plugin_dir = ${library}/modules
import_environment = TZ LD_LIBRARY_PATH
log_path = ${folder}/dovecot.log
auth_verbose = yes
protocols = lmtp
default_internal_user = nobody
default_internal_group = nogroup
default_login_user = nobody
first_valid_uid = 1
mail_location = maildir:${folder}/mail/%n
auth_username_format = %Ln
auth_mechanisms = plain login scram-sha-256
ssl = yes
ssl_cert = <${folder}/certificate.pem
ssl_key = <${folder}/key.pem
lmtp_user_concurrency_limit = 0
passdb {
  driver = passwd-file
  args = ${folder}/users
}
userdb {
  driver = passwd-file
  args = ${folder}/users
}
service lmtp {
  unix_listener ${folder}/lmtp.sock {
    mode = 0666
  }
  inet_listener lmtp {
    address = 127.0.0.1
    port = ${String(port)}
  }
}
service auth {
  unix_listener ${folder}/auth.sock {
    mode = 0666
  }
}
service stats {
  chroot =
}
service anvil {
  chroot =
}
`;
}
