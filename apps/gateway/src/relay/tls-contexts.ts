/**
 * What the relay trusts and shows in TLS: the system's authorities or a profile's own, and client certificates, from
 * `<certificates>/<name>/` (`ca.pem`; `certificate.pem` and `key.pem`). Read once and again when a file has changed.
 */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';
import type { SecureContext } from 'node:tls';
import type { RouteTls } from '#delivery';
import { tlsContext } from '#smtp-net';

/** Where distributions keep the authorities they trust. */
const SYSTEM_FILES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/ssl/cert.pem',
];
const FRESH_MS = 10_000;

interface Entry {
  readonly stamp: string;
  readonly checkedAtMs: number;
  readonly context: SecureContext;
}

export type ContextResult =
  { readonly ok: true; readonly context: SecureContext } | { readonly ok: false; readonly message: string };

export class TlsContexts {
  readonly #directory: string;
  readonly #entries = new Map<string, Entry>();

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Never rejects. The message names the file that is missing or no PEM, not what it holds. */
  async get({ authorities, certificate }: RouteTls): Promise<ContextResult> {
    const key = JSON.stringify([authorities, certificate]);
    const known = this.#entries.get(key);
    if (known !== undefined && Date.now() - known.checkedAtMs < FRESH_MS) return { ok: true, context: known.context };
    const files = this.#files(authorities, certificate);
    const paths = Object.values(files) as readonly string[];
    try {
      const stamps = await Promise.all(paths.map(async (file) => (await stat(file)).mtimeMs));
      const stamp = stamps.join(' ');
      const context = known?.stamp === stamp ? known.context : await made(files);
      this.#entries.set(key, { stamp, checkedAtMs: Date.now(), context });
      return { ok: true, context };
    } catch (error) {
      return { ok: false, message: `TLS cannot be set up: ${explain(error, paths)}` };
    }
  }

  #files(authorities: string | undefined, certificate: string | undefined): Files {
    return {
      ...(authorities === undefined ? {} : { authorities: join(this.#directory, authorities, 'ca.pem') }),
      ...(certificate === undefined
        ? {}
        : {
            chain: join(this.#directory, certificate, 'certificate.pem'),
            key: join(this.#directory, certificate, 'key.pem'),
          }),
    };
  }
}

interface Files {
  readonly authorities?: string;
  readonly chain?: string;
  readonly key?: string;
}

async function made(files: Files): Promise<SecureContext> {
  const authorities =
    files.authorities === undefined ? await systemAuthorities() : await readFile(files.authorities, 'utf8');
  if (files.chain === undefined || files.key === undefined) return tlsContext({ authorities });
  const certificate = { chain: await readFile(files.chain, 'utf8'), key: await readFile(files.key, 'utf8') };
  return tlsContext({ authorities, certificate });
}

async function systemAuthorities(): Promise<string | readonly string[]> {
  for (const file of SYSTEM_FILES) {
    try {
      const text = await readFile(file, 'utf8');
      if (text.includes('-----BEGIN CERTIFICATE-----')) return text;
    } catch {
      // Another distribution's place.
    }
  }
  return rootCertificates;
}

function explain(error: unknown, files: readonly string[]): string {
  const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
  const path = typeof error === 'object' && error !== null && 'path' in error ? String(error.path) : files.join(', ');
  return code === 'ENOENT' ? `\`${path}\` does not exist` : `\`${path}\` cannot be used (${code || 'no PEM'})`;
}
