/**
 * A certificate for a gateway that was given none: P-256, signed by itself. It encrypts and proves nothing; senders that
 * check certificates need another.
 */
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
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

/** Writes key and certificate into a folder of the store, the certificate last: where it is, the key is. */
export async function writeSelfSigned(directory: string, hostname: string, nowMs: number): Promise<void> {
  const { certificate, key } = await makeSelfSigned(hostname, nowMs);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await writeDurably(join(directory, 'key.pem'), key);
  await writeDurably(join(directory, 'certificate.pem'), certificate);
  await syncDirectory(directory);
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

async function writeDurably(path: string, text: string): Promise<void> {
  const draft = `${path}.${String(process.pid)}`;
  await rm(draft, { force: true });
  const file = await open(draft, 'wx', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(draft, path);
}
