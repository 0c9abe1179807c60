/**
 * Programs that nobody here wrote, and what to do when one is not installed: its tests are skipped, and say so on the
 * terminal with the Debian package that would let them run.
 */
import { spawnSync } from 'node:child_process';
import { describe } from '@jest/globals';
import { programPath } from './program-path.js';

const PACKAGE_OF = {
  swaks: 'swaks',
  msmtp: 'msmtp',
  postfix: 'postfix',
  'smtp-source': 'postfix',
  'smtp-sink': 'postfix',
  curl: 'curl',
  openssl: 'openssl',
  python3: 'python3',
  'perl-tls': 'libnet-ssleay-perl',
  'sasl-scram': 'libsasl2-modules',
  dovecot: 'dovecot-lmtpd',
  opendkim: 'opendkim',
  'perl-dkim': 'libmail-dkim-perl',
  'python-dkim': 'python3-dkim python3-nacl python3-authres',
  exim4: 'exim4-daemon-light (unpacked where Postfix is installed, as .ci/run does it)',
} as const;

export type ForeignProgram = keyof typeof PACKAGE_OF;
export type Availability = { readonly ok: true } | { readonly ok: false; readonly why: string };

export function available(...programs: readonly ForeignProgram[]): Availability {
  const missing = programs.filter((program) => !isInstalled(program));
  if (missing.length === 0) return { ok: true };
  const packages = [...new Set(missing.map((program) => PACKAGE_OF[program]))].join(' ');
  return { ok: false, why: `${missing.join(', ')} not found; install the Debian package ${packages}` };
}

/** What is no program: a module by which those in Perl speak TLS, a plug-in by which Postfix speaks SCRAM. */
function isInstalled(program: ForeignProgram): boolean {
  if (program === 'perl-tls') return spawnSync('perl', ['-MNet::SSLeay', '-e', '1']).status === 0;
  if (program === 'sasl-scram') return spawnSync('sh', ['-c', 'ls /usr/lib/*/sasl2/libscram.so*']).status === 0;
  // It looks for its account before anything else.
  if (program === 'exim4' && spawnSync('id', ['Debian-exim']).status !== 0) return false;
  if (program === 'perl-dkim') return spawnSync('perl', ['-MMail::DKIM', '-e', '1']).status === 0;
  // Debian's own, which has Debian's modules.
  if (program === 'python-dkim')
    return spawnSync('/usr/bin/python3', ['-c', 'import dkim, nacl, authres']).status === 0;
  return programPath(program) !== undefined;
}

/** Postfix changes users and owners while it starts, so it needs root. */
export function availableAsRoot(...programs: readonly ForeignProgram[]): Availability {
  const installed = available(...programs);
  if (!installed.ok) return installed;
  return process.getuid?.() === 0
    ? installed
    : { ok: false, why: `${programs.join(', ')} can only be run here by root` };
}

/** A `describe` that is skipped loudly, never silently, when what it needs is missing. */
export function describeIf(availability: Availability, name: string, body: () => void): void {
  if (!availability.ok) process.stderr.write(`SKIPPED: ${name}: ${availability.why}\n`);
  (availability.ok ? describe : describe.skip)(name, body);
}
