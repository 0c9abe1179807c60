/**
 * Programs that nobody here wrote, and what to do when one is not installed: its tests are skipped, and say so on the
 * terminal with the Debian package that would let them run.
 */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { describe } from '@jest/globals';

const PACKAGE_OF = {
  swaks: 'swaks',
  msmtp: 'msmtp',
  postfix: 'postfix',
  'smtp-source': 'postfix',
  'smtp-sink': 'postfix',
} as const;

export type ForeignProgram = keyof typeof PACKAGE_OF;
export type Availability = { readonly ok: true } | { readonly ok: false; readonly why: string };

/** Absolute path of a program, also where an ordinary user's PATH does not look; undefined when it is not installed. */
export function programPath(program: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin'];
  return folders.map((folder) => join(folder, program)).find(isExecutable);
}

export function available(...programs: readonly ForeignProgram[]): Availability {
  const missing = programs.filter((program) => programPath(program) === undefined);
  if (missing.length === 0) return { ok: true };
  const packages = [...new Set(missing.map((program) => PACKAGE_OF[program]))].join(' ');
  return { ok: false, why: `${missing.join(', ')} not found; install the Debian package ${packages}` };
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

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
