import { chmod, mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { X509Certificate } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, createServer, type AddressInfo } from 'node:net';
import { connect as connectTls, TLSSocket, type SecureContext } from 'node:tls';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { CertificateAuthority, selfSigned, type Credentials } from '../../../../test/support/certificates.js';
import { waitFor } from '../../../../test/support/wait.js';
import { createLogger } from '../log.js';
import { CertificateFailure, CertificateStore, type CertificateLoaded } from './certificate-store.js';

let directory: string;
let store: CertificateStore;
let loaded: CertificateLoaded[];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'certificates-'));
  loaded = [];
  store = new CertificateStore({
    directory,
    hostname: 'mx.test',
    log: createLogger('silent', 'test'),
    onLoaded: (certificate) => loaded.push(certificate),
    lookEveryMs: 20,
  });
});
afterEach(async () => {
  await store.stop();
  await rm(directory, { recursive: true, force: true });
});

test('the end of a certificate is told once a day from two weeks before, also to a gateway that runs for months', async () => {
  await put('mx', await selfSigned({ names: ['mx.test'] }));
  const told: string[] = [];
  const endMs = Date.parse(new X509Certificate(await readFile(join(directory, 'mx/certificate.pem'))).validTo);
  let nowMs = endMs - 15 * 86_400_000;
  const log = Object.assign(createLogger('silent', 'test'), { warn: (text: string) => void told.push(text) });
  const old = new CertificateStore({ directory, hostname: 'mx.test', log, lookEveryMs: 10, nowMs: () => nowMs });
  try {
    await old.require(['mx']);
    expect(told).toEqual([]);
    nowMs = endMs - 13.5 * 86_400_000;
    await waitFor('a warning', () => told.length === 1);
    nowMs = endMs - 13.2 * 86_400_000;
    nowMs = endMs + 2 * 86_400_000;
    await waitFor('another one', () => told.length === 2);
  } finally {
    await old.stop();
  }
  const end = new Date(endMs).toISOString();
  expect(told[0]).toBe(`certificate \`mx\` expires at ${end}; expected its successor in ${join(directory, 'mx')}`);
  expect(told[1]).toMatch(/^certificate `mx` has expired at /);
});

async function put(name: string, { certificate, key }: Credentials, clientAuthorities?: string): Promise<void> {
  const folder = join(directory, name);
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'key.pem'), key);
  await writeFile(join(folder, 'certificate.pem'), certificate);
  if (clientAuthorities !== undefined) await writeFile(join(folder, 'client-ca.pem'), clientAuthorities);
}

interface Seen {
  readonly fingerprint: string;
  readonly authorized: boolean;
}

/** What a client sees of the server, and whether the server believes the client's certificate. */
async function handshake(context: SecureContext, client?: Credentials): Promise<Seen> {
  const authorized: boolean[] = [];
  const server = createServer((raw) => {
    const socket = new TLSSocket(raw, {
      isServer: true,
      secureContext: context,
      requestCert: client !== undefined,
      rejectUnauthorized: false,
    });
    socket.on('secure', () => authorized.push(verified(socket)));
    socket.on('error', () => undefined);
    socket.resume();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const socket = connectTls({
    socket: connect(port, '127.0.0.1'),
    rejectUnauthorized: false,
    ...(client !== undefined && { cert: client.certificate, key: client.key }),
  });
  await new Promise<void>((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject));
  const fingerprint = socket.getPeerCertificate().fingerprint256.replaceAll(':', '').toLowerCase();
  await waitFor('the server side', () => authorized.length > 0);
  socket.destroy();
  await new Promise((resolve) => server.close(resolve));
  return { fingerprint, authorized: authorized[0] === true };
}

interface Verifiable {
  readonly _handle?: { verifyError(): Error | null };
}

/** A bare TLSSocket does not say it by itself. */
function verified(socket: TLSSocket): boolean {
  return ((socket as unknown as Verifiable)._handle?.verifyError() ?? null) === null;
}

describe('the certificate that is made', () => {
  test('is P-256, for our name, and its key is for us alone', async () => {
    await store.require(['default']);
    const { fingerprint } = await handshake(store.contextFor('default', undefined));
    expect(loaded).toMatchObject([{ name: 'default', fingerprint, subject: 'CN=mx.test' }]);
    const { mode } = await stat(join(directory, 'default', 'key.pem'));
    expect(mode & 0o777).toBe(0o600);
    const again = new CertificateStore({ directory, hostname: 'mx.test', log: createLogger('silent', 'test') });
    await again.require(['default']);
    expect((await handshake(again.contextFor('default', undefined))).fingerprint).toBe(fingerprint);
    await again.stop();
  });

  test('is made at the first start, and left alone at every other', async () => {
    await store.makeDefault();
    const key = await readFile(join(directory, 'default', 'key.pem'), 'utf8');
    await store.makeDefault();
    expect(await readFile(join(directory, 'default', 'key.pem'), 'utf8')).toBe(key);
    await rm(join(directory, 'default', 'key.pem'));
    // Half a pair is somebody's mistake, not a first start.
    await store.makeDefault();
    await expect(stat(join(directory, 'default', 'key.pem'))).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('is made for `default` only', async () => {
    await expect(store.require(['mx'])).rejects.toThrow(
      new CertificateFailure(
        `certificate \`mx\`: ${join(directory, 'mx', 'certificate.pem')} is missing; expected \`certificate.pem\` and \`key.pem\` in that folder`,
      ),
    );
  });
});

describe('what can not be used is said', () => {
  test('another key, no key, no certificate, an unreadable file', async () => {
    const [one, two] = [await selfSigned({ names: ['one.test'] }), await selfSigned({ names: ['two.test'] })];
    await put('mx', { ...one, key: two.key });
    await expect(store.require(['mx'])).rejects.toThrow(/key\.pem does not belong to the certificate beside it$/);
    await put('mx', { ...one, key: 'nothing' });
    await expect(store.require(['mx'])).rejects.toThrow(/key\.pem holds no private key/);
    await put('mx', { ...one, certificate: 'nothing' });
    await expect(store.require(['mx'])).rejects.toThrow(/certificate\.pem holds no certificate/);
    await put('mx', one, 'nothing');
    await expect(store.require(['mx'])).rejects.toThrow(/client-ca\.pem holds no certificate/);
    await rm(join(directory, 'mx', 'client-ca.pem'));
    await rm(join(directory, 'mx', 'key.pem'));
    await expect(store.require(['mx'])).rejects.toThrow(/key\.pem is missing/);
    await mkdir(join(directory, 'mx', 'key.pem'));
    await expect(store.require(['mx'])).rejects.toThrow(/key\.pem is a folder/);
    if (process.getuid?.() === 0) return;
    await rm(join(directory, 'mx', 'key.pem'), { recursive: true });
    await put('mx', one);
    await chmod(join(directory, 'mx', 'key.pem'), 0);
    await expect(store.require(['mx'])).rejects.toThrow(/key\.pem may not be read by this user/);
  });
});

describe('which one is shown', () => {
  test('the one whose name the client asks for, else the listener’s own', async () => {
    const mx = await selfSigned({ names: ['mx.test'] });
    const other = await selfSigned({ names: ['*.other.test', 'both.test'] });
    await put('mx', mx);
    await put('other', other);
    await store.require(['mx']);
    const shown = async (serverName?: string): Promise<string> =>
      (await handshake(store.contextFor('mx', serverName))).fingerprint;
    expect(await shown()).toBe(mx.fingerprint);
    expect(await shown('mx.test')).toBe(mx.fingerprint);
    expect(await shown('a.other.test')).toBe(other.fingerprint);
    expect(await shown('a.b.other.test')).toBe(mx.fingerprint);
    expect(await shown('nowhere.test')).toBe(mx.fingerprint);
    expect(store.contextFor('mx', 'both.test')).toBe(store.contextFor('mx', 'both.test'));
  });

  test('whose clients are believed is the listener’s word, whatever name was asked for', async () => {
    const [ours, theirs] = [await CertificateAuthority.create('ours'), await CertificateAuthority.create('theirs')];
    await put('mx', await selfSigned({ names: ['mx.test'] }), ours.certificate);
    await put('other', await selfSigned({ names: ['other.test'] }), theirs.certificate);
    await put('plain', await selfSigned({ names: ['plain.test'] }));
    await store.require(['mx', 'plain']);
    const [friend, stranger] = [await ours.issue({ names: ['f.test'] }), await theirs.issue({ names: ['f.test'] })];
    const believed = async (name: string, serverName: string, client: Credentials): Promise<boolean> =>
      (await handshake(store.contextFor(name, serverName), client)).authorized;
    expect(await believed('mx', 'mx.test', friend)).toBe(true);
    expect(await believed('mx', 'other.test', friend)).toBe(true);
    expect(await believed('mx', 'other.test', stranger)).toBe(false);
    expect(await believed('plain', 'plain.test', friend)).toBe(false);
    expect(await believed('plain', 'mx.test', friend)).toBe(false);
  });
});

describe('a renewed certificate', () => {
  test('serves from the next handshake on; half of a renewal changes nothing', async () => {
    const [old, renewed] = [await selfSigned({ names: ['mx.test'] }), await selfSigned({ names: ['mx.test'] })];
    await put('mx', old);
    await store.require(['mx']);
    const shown = async (): Promise<string> => (await handshake(store.contextFor('mx', 'mx.test'))).fingerprint;
    const draft = join(directory, 'draft');
    await writeFile(draft, renewed.certificate);
    await rename(draft, join(directory, 'mx', 'certificate.pem'));
    expect(await shown()).toBe(old.fingerprint);
    await writeFile(draft, renewed.key);
    await rename(draft, join(directory, 'mx', 'key.pem'));
    await waitFor('the renewed one', async () => (await shown()) === renewed.fingerprint);
    await put('late', await selfSigned({ names: ['late.test'] }));
    await waitFor('the one that came later', () => loaded.some(({ name }) => name === 'late'));
  });
});
