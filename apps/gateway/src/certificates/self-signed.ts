/**
 * A certificate for a gateway that was given none: P-256, signed by itself. It encrypts and proves nothing; senders that
 * check certificates need another.
 */
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import {
  BasicConstraintsExtension,
  cryptoProvider,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { syncDirectory } from '../sync-directory.js';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const DAY_MS = 86_400_000;
/** Nobody renews it, so it had better last. */
const VALID_DAYS = 3650;
/** RFC 5280: a common name has at most 64 characters. */
const MAX_COMMON_NAME = 64;
/** What renaming a folder says when the place holds something. */
const TAKEN: ReadonlySet<string> = new Set(['ENOTEMPTY', 'EEXIST', 'ENOTDIR']);

/**
 * Makes key and certificate as a folder of the store: there with both or not at all, whenever the machine stops. A folder
 * that holds something is left as it is: half a pair is its owner's, and never overwritten. Says whether it was made.
 */
export async function writeSelfSigned(directory: string, hostname: string, nowMs: number): Promise<boolean> {
  const { certificate, key } = await makeSelfSigned(hostname, nowMs);
  const draft = join(dirname(directory), `.${basename(directory)}.${String(process.pid)}`);
  await rm(draft, { recursive: true, force: true });
  await mkdir(draft, { recursive: true, mode: 0o700 });
  try {
    await writeSynced(join(draft, 'key.pem'), key);
    await writeSynced(join(draft, 'certificate.pem'), certificate);
    await syncDirectory(draft);
    await rename(draft, directory);
    await syncDirectory(dirname(directory));
    return true;
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    if (TAKEN.has((error as NodeJS.ErrnoException).code ?? '')) return false;
    throw error;
  }
}

async function makeSelfSigned(hostname: string, nowMs: number): Promise<{ certificate: string; key: string }> {
  cryptoProvider.set(webcrypto);
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const serial = Buffer.from(webcrypto.getRandomValues(new Uint8Array(15))).toString('hex');
  const certificate = await X509CertificateGenerator.createSelfSigned({
    // Positive, whatever was drawn.
    serialNumber: `01${serial}`,
    name: [{ CN: [hostname.length > MAX_COMMON_NAME ? 'postern' : hostname] }],
    notBefore: new Date(nowMs - DAY_MS),
    notAfter: new Date(nowMs + VALID_DAYS * DAY_MS),
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
      new SubjectAlternativeNameExtension([{ type: 'dns', value: hostname }]),
    ],
  });
  const key = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
  return { certificate: `${certificate.toString('pem')}\n`, key: `${PemConverter.encode(key, 'PRIVATE KEY')}\n` };
}

async function writeSynced(path: string, text: string): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}
