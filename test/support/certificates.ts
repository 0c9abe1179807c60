/**
 * Certificates for tests, made on the spot: an authority of one's own, what it signs, and what nobody signed.
 * P-256, valid for a day from an hour ago unless said otherwise.
 */
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';

/** As PEM, the way `createSecureContext` takes them. */
export interface Credentials {
  readonly certificate: string;
  readonly key: string;
  /** SHA-256 of the certificate, lower-case hex. */
  readonly fingerprint: string;
}

interface CertificateWishes {
  readonly commonName?: string;
  /** Host names. */
  readonly names?: readonly string[];
  readonly addresses?: readonly string[];
  readonly emails?: readonly string[];
  readonly notBefore?: Date;
  readonly notAfter?: Date;
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const HOUR_MS = 3_600_000;

x509.cryptoProvider.set(webcrypto);

export class CertificateAuthority {
  /** Its own certificate, for those who are to trust it. */
  readonly certificate: string;
  readonly #certificate: x509.X509Certificate;
  readonly #keys: webcrypto.CryptoKeyPair;

  private constructor(certificate: x509.X509Certificate, keys: webcrypto.CryptoKeyPair) {
    this.#certificate = certificate;
    this.#keys = keys;
    this.certificate = `${certificate.toString('pem')}\n`;
  }

  static async create(name = 'Test Authority'): Promise<CertificateAuthority> {
    const keys = await newKeys();
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      serialNumber: newSerial(),
      name: [{ CN: [name] }],
      ...validity({}),
      keys,
      signingAlgorithm: ALGORITHM,
      extensions: [
        new x509.BasicConstraintsExtension(true, 1, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      ],
    });
    return new CertificateAuthority(certificate, keys);
  }

  /** A certificate for a server or a client. */
  async issue(wishes: CertificateWishes): Promise<Credentials> {
    const keys = await newKeys();
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: newSerial(),
      subject: [{ CN: [commonNameOf(wishes)] }],
      issuer: this.#certificate.subject,
      ...validity(wishes),
      publicKey: keys.publicKey,
      signingKey: this.#keys.privateKey,
      signingAlgorithm: ALGORITHM,
      extensions: [...leafExtensions(wishes), await x509.AuthorityKeyIdentifierExtension.create(this.#certificate)],
    });
    return credentials(certificate, keys);
  }
}

/** Signed by nobody but itself. */
export async function selfSigned(wishes: CertificateWishes): Promise<Credentials> {
  const keys = await newKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: newSerial(),
    name: [{ CN: [commonNameOf(wishes)] }],
    ...validity(wishes),
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: leafExtensions(wishes),
  });
  return credentials(certificate, keys);
}

function leafExtensions({ names = [], addresses = [], emails = [] }: CertificateWishes): x509.Extension[] {
  const alternatives: x509.JsonGeneralNames = [
    ...names.map((value) => ({ type: 'dns' as const, value })),
    ...addresses.map((value) => ({ type: 'ip' as const, value })),
    ...emails.map((value) => ({ type: 'email' as const, value })),
  ];
  return [
    new x509.BasicConstraintsExtension(false, undefined, true),
    new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
    new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
    ...(alternatives.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(alternatives)]),
  ];
}

function commonNameOf({ commonName, names, emails }: CertificateWishes): string {
  return commonName ?? names?.[0] ?? emails?.[0] ?? 'test';
}

function validity({ notBefore, notAfter }: CertificateWishes): { notBefore: Date; notAfter: Date } {
  return {
    notBefore: notBefore ?? new Date(Date.now() - HOUR_MS),
    notAfter: notAfter ?? new Date(Date.now() + 24 * HOUR_MS),
  };
}

function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
}

/** Positive, and never the same twice. */
function newSerial(): string {
  return `01${Buffer.from(webcrypto.getRandomValues(new Uint8Array(8))).toString('hex')}`;
}

async function credentials(certificate: x509.X509Certificate, keys: webcrypto.CryptoKeyPair): Promise<Credentials> {
  const key = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
  return {
    certificate: `${certificate.toString('pem')}\n`,
    key: `${x509.PemConverter.encode(key, 'PRIVATE KEY')}\n`,
    fingerprint: Buffer.from(await certificate.getThumbprint('SHA-256')).toString('hex'),
  };
}
