/**
 * One certificate as files: `certificate.pem` (the server's first, then the chain), `key.pem`, and, where clients may show
 * certificates of their own, `client-ca.pem` (the authorities that vouch for their names).
 *
 * What is wrong is said in a sentence for the operator that names the file and never its content.
 */
import { createHash, createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';

const FILES = { certificate: 'certificate.pem', key: 'key.pem', clientAuthorities: 'client-ca.pem' } as const;

export interface ServerCertificate {
  readonly name: string;
  /** The server's own, and its chain, as `createSecureContext` takes them. */
  readonly certificate: string;
  readonly key: string;
  /** Absent: no name in a certificate of a client is believed, only its fingerprint. */
  readonly clientAuthorities?: string;
  readonly leaf: X509Certificate;
  /** Changes when one of the files does. */
  readonly version: string;
}

export type CertificateResult =
  | { readonly ok: true; readonly certificate: ServerCertificate }
  | { readonly ok: false; readonly missing: boolean; readonly version: string; readonly message: string };

/** Size, time and identity of the files: cheap to look at, and another one after every change. */
export async function filesVersion(directory: string): Promise<string> {
  const each = await Promise.all(Object.values(FILES).map((file) => fileVersion(join(directory, file))));
  return each.join(' ');
}

async function fileVersion(path: string): Promise<string> {
  try {
    const { ino, size, mtimeMs, ctimeMs } = await stat(path);
    return `${String(ino)}:${String(size)}:${String(mtimeMs)}:${String(ctimeMs)}`;
  } catch (error) {
    return codeOf(error);
  }
}

/** Reads and checks one folder of the store. */
export async function readCertificate(store: string, name: string): Promise<CertificateResult> {
  const directory = join(store, name);
  const version = await filesVersion(directory);
  try {
    const certificate = await readText(join(directory, FILES.certificate));
    const key = await readText(join(directory, FILES.key));
    const clientAuthorities = await readOptional(join(directory, FILES.clientAuthorities));
    const leaf = parseCertificate(certificate, join(directory, FILES.certificate));
    if (!leaf.checkPrivateKey(parseKey(key, join(directory, FILES.key)))) {
      throw new Unusable(`the key in ${join(directory, FILES.key)} does not belong to the certificate beside it`);
    }
    const authorities = clientAuthorities === undefined ? {} : { clientAuthorities };
    if (clientAuthorities !== undefined) parseCertificate(clientAuthorities, join(directory, FILES.clientAuthorities));
    return { ok: true, certificate: { name, certificate, key, leaf, version, ...authorities } };
  } catch (error) {
    if (!(error instanceof Unusable)) throw error;
    return { ok: false, missing: error.missing, version, message: `certificate \`${name}\`: ${error.message}` };
  }
}

/** SHA-256 of the certificate as DER, hex. */
export function fingerprintOf(leaf: X509Certificate): string {
  return createHash('sha256').update(leaf.raw).digest('hex');
}

class Unusable extends Error {
  constructor(
    message: string,
    readonly missing = false,
  ) {
    super(message);
  }
}

const READ_FAULTS: Readonly<Record<string, string>> = {
  EACCES: 'may not be read by this user',
  EPERM: 'may not be read by this user',
  EISDIR: 'is a folder, expected a file',
  ENOTDIR: 'is not there: a part of its path is no folder',
};

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const code = codeOf(error);
    if (code === 'ENOENT') throw new Unusable(`${path} is missing`, true);
    throw new Unusable(`${path} ${READ_FAULTS[code] ?? `could not be read (${code})`}`);
  }
}

async function readOptional(path: string): Promise<string | undefined> {
  try {
    return await readText(path);
  } catch (error) {
    if (error instanceof Unusable && error.missing) return undefined;
    throw error;
  }
}

function parseCertificate(pem: string, path: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch {
    throw new Unusable(`${path} holds no certificate, expected PEM that begins with \`-----BEGIN CERTIFICATE-----\``);
  }
}

function parseKey(pem: string, path: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch (error) {
    if (codeOf(error) === 'ERR_MISSING_PASSPHRASE' || pem.includes('ENCRYPTED')) {
      throw new Unusable(`the key in ${path} is encrypted, expected one without a passphrase`);
    }
    throw new Unusable(`${path} holds no private key, expected PEM that begins with \`-----BEGIN PRIVATE KEY-----\``);
  }
}

function codeOf(error: unknown): string {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : 'unknown error';
}
