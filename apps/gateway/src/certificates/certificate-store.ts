/**
 * The certificates of this gateway: one folder each, looked at every few seconds, so that a renewed one serves the next
 * handshake; sessions under way notice nothing. A pair that does not fit (files are replaced one after the other) leaves
 * the old one in force.
 *
 * INVARIANT (own authorities): whose client certificates are believed is said by the certificate that the listener names,
 * never by the one that the client chose by SNI.
 */
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { SecureContext } from 'node:tls';
import { createServerContext } from '#smtp-net';
import type { Logger } from '../log.js';
import { filesVersion, fingerprintOf, readCertificate, type ServerCertificate } from './certificate-files.js';

export const DEFAULT_CERTIFICATE = 'default';
const LOOK_EVERY_MS = 3_000;
const DAY_MS = 86_400_000;
/** From here on the end of a certificate is told once a day. */
const SOON_DAYS = 14;
/** Folders that are looked at; more is a mistake, not an installation. */
const MAX_CERTIFICATES = 1000;
const NAME = /^[a-z0-9][a-z0-9-]{0,63}$/;

export interface CertificateLoaded {
  readonly name: string;
  readonly fingerprint: string;
  /** RFC 3339. */
  readonly expiresAt: string;
  readonly subject: string;
}

export interface CertificateStoreOptions {
  readonly directory: string;
  /** For the one that is made when there is none. */
  readonly hostname: string;
  readonly log: Logger;
  /** Told of each certificate that comes into force. */
  readonly onLoaded?: (loaded: CertificateLoaded) => void;
  readonly lookEveryMs?: number;
  readonly nowMs?: () => number;
}

/** A certificate that a policy names and that can not be used, in a sentence for the operator. */
export class CertificateFailure extends Error {
  override readonly name = 'CertificateFailure';
}

export class CertificateStore {
  readonly #loaded = new Map<string, ServerCertificate>();
  /** By chosen and named certificate; forgotten when either changes. */
  readonly #contexts = new Map<string, SecureContext>();
  /** Versions of folders that could not be used: each is told once. */
  readonly #refused = new Map<string, string>();
  /** Days left, as they were told last. */
  readonly #toldDays = new Map<string, number>();
  readonly #options: CertificateStoreOptions;
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;

  constructor(options: CertificateStoreOptions) {
    this.#options = options;
  }

  /** Makes sure that these can be used; throws `CertificateFailure` otherwise. Then keeps all of the store current. */
  async require(names: readonly string[]): Promise<void> {
    if (names.length === 0) return;
    await mkdir(this.#options.directory, { recursive: true, mode: 0o700 });
    for (const name of new Set(names)) await this.#requireOne(name);
    await this.#look();
    this.#timer ??= setInterval(() => {
      this.#looking ??= this.#look().finally(() => (this.#looking = undefined));
    }, this.#options.lookEveryMs ?? LOOK_EVERY_MS).unref();
  }

  /**
   * At the first start: makes the certificate that a policy may name before anybody has put one there. What is wrong
   * with it is told when a policy wants it.
   */
  async makeDefault(): Promise<void> {
    const { directory, log } = this.#options;
    try {
      const found = await readCertificate(directory, DEFAULT_CERTIFICATE);
      if (!found.ok && found.missing) await this.#writeDefault();
    } catch (error) {
      log.warn({ err: error }, 'no certificate could be made');
    }
  }

  /** For one handshake: the listener's own certificate, or another of the store whose name the client asked for. */
  contextFor(name: string, serverName: string | undefined): SecureContext {
    const own = this.#loaded.get(name);
    if (own === undefined) throw new Error(`certificate ${name} was never required`);
    const chosen = serverName === undefined ? own : this.#choose(own, serverName);
    const key = `${chosen.name} ${own.name}`;
    const known = this.#contexts.get(key);
    if (known !== undefined) return known;
    const context = createServerContext({
      cert: chosen.certificate,
      key: chosen.key,
      // Without authorities of its own nobody is believed, least of all everybody whom browsers believe.
      ca: own.clientAuthorities ?? [],
    });
    this.#contexts.set(key, context);
    return context;
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#timer = undefined;
    await this.#looking;
  }

  #choose(own: ServerCertificate, serverName: string): ServerCertificate {
    const names = (certificate: ServerCertificate): boolean => certificate.leaf.checkHost(serverName) !== undefined;
    if (names(own)) return own;
    for (const other of this.#loaded.values()) if (names(other)) return other;
    return own;
  }

  async #requireOne(name: string): Promise<void> {
    const { directory } = this.#options;
    if (this.#loaded.has(name)) return;
    let result = await readCertificate(directory, name);
    if (!result.ok && result.missing && name === DEFAULT_CERTIFICATE) {
      await this.#writeDefault();
      result = await readCertificate(directory, name);
    }
    if (!result.ok) {
      const hint = result.missing ? '; expected `certificate.pem` and `key.pem` in that folder' : '';
      throw new CertificateFailure(`${result.message}${hint}`);
    }
    this.#take(result.certificate);
  }

  async #writeDefault(): Promise<void> {
    const { directory, hostname, log } = this.#options;
    const folder = join(directory, DEFAULT_CERTIFICATE);
    await mkdir(directory, { recursive: true, mode: 0o700 });
    // Needed once in the life of an installation: not at every start.
    const { writeSelfSigned } = await import('./self-signed.js');
    if (await writeSelfSigned(folder, hostname, Date.now()))
      log.info({ directory: folder }, 'made a self-signed certificate');
  }

  /** All folders: what has changed is read again, what came is taken too, what can not be used is told once. */
  async #look(): Promise<void> {
    try {
      const entries = await readdir(this.#options.directory);
      const names = entries.filter((entry) => NAME.test(entry)).slice(0, MAX_CERTIFICATES);
      for (const name of names) await this.#lookAt(name);
      for (const certificate of this.#loaded.values()) this.#tellEnd(certificate);
    } catch (error) {
      this.#options.log.warn({ err: error }, 'certificates could not be looked at; those in force stay');
    }
  }

  async #lookAt(name: string): Promise<void> {
    const { directory, log } = this.#options;
    const version = await filesVersion(join(directory, name));
    if (this.#loaded.get(name)?.version === version || this.#refused.get(name) === version) return;
    const result = await readCertificate(directory, name);
    if (result.ok) {
      this.#take(result.certificate);
      return;
    }
    this.#refused.set(name, result.version);
    const stays = this.#loaded.has(name) ? '; the one in force stays' : '';
    log.warn(`${result.message}${stays}`);
  }

  #take(certificate: ServerCertificate): void {
    const { name, leaf } = certificate;
    this.#loaded.set(name, certificate);
    this.#refused.delete(name);
    for (const key of [...this.#contexts.keys()]) if (key.split(' ').includes(name)) this.#contexts.delete(key);
    const expiresAt = new Date(leaf.validTo);
    const loaded = {
      name,
      fingerprint: fingerprintOf(leaf),
      expiresAt: expiresAt.toISOString(),
      subject: leaf.subject.replaceAll('\n', ', '),
    };
    const { log } = this.#options;
    log.info({ certificate: loaded }, 'certificate in force');
    this.#options.onLoaded?.(loaded);
  }

  /** A gateway that runs for months has to say it when the time comes, not only when it starts. */
  #tellEnd({ name, leaf }: ServerCertificate): void {
    const { directory, log, nowMs = Date.now } = this.#options;
    const endMs = Date.parse(leaf.validTo);
    const days = Math.floor((endMs - nowMs()) / DAY_MS);
    if (days >= SOON_DAYS) this.#toldDays.delete(name);
    if (days >= SOON_DAYS || this.#toldDays.get(name) === days) return;
    this.#toldDays.set(name, days);
    const end = new Date(endMs).toISOString();
    const what = days < 0 ? `has expired at ${end}` : `expires at ${end}`;
    log.warn(`certificate \`${name}\` ${what}; expected its successor in ${join(directory, name)}`);
  }
}
