/**
 * Who really sent this: the checks of `libs/mail-auth` with the gateway's own resolver, their deadlines, and the threads that
 * hash. Nothing here is ever thrown at a session: what could not be found out is a temperror, or a reason.
 */
import { checkDmarc, checkSpf } from '#mail-auth';
import type { DmarcCheck, DmarcQuestion, DnsReply, MailAuthDns, SpfCheck, SpfQuestion } from '#mail-auth';
import type { Logger } from '../log.js';
import type { CheckedContent } from './checked-content.js';
import type { ContentThreads } from './content-threads.js';

export interface MailAuthOptions {
  readonly dns: MailAuthDns;
  readonly threads: ContentThreads;
  readonly log: Pick<Logger, 'error'>;
  /** Of one check, all its look-ups together. RFC 7208 s4.6.4 asks for at least 20 seconds. */
  readonly deadlineMs?: number;
}

const DEADLINE_MS = 20_000;

export class MailAuth {
  readonly #dns: MailAuthDns;
  readonly #threads: ContentThreads;
  readonly #log: Pick<Logger, 'error'>;
  readonly #deadlineMs: number;

  constructor({ dns, threads, log, deadlineMs = DEADLINE_MS }: MailAuthOptions) {
    this.#dns = dns;
    this.#log = log;
    this.#threads = threads;
    this.#deadlineMs = deadlineMs;
  }

  async spf(question: SpfQuestion): Promise<SpfCheck> {
    try {
      return await this.#inTime((dns) => checkSpf(question, dns));
    } catch (error) {
      this.#log.error({ err: error }, 'SPF failed on a bug');
      const { sender, clientAddress } = question;
      return { ...BUG, identity: 'mailfrom', domain: '', sender, clientAddress, lookUps: 0 };
    }
  }

  async dmarc(question: DmarcQuestion): Promise<DmarcCheck> {
    try {
      return await this.#inTime((dns) => checkDmarc(question, dns));
    } catch (error) {
      this.#log.error({ err: error }, 'DMARC failed on a bug');
      return { ...BUG, domain: '', organisationalDomain: '', aligned: [] };
    }
  }

  /** DKIM and ARC of content that is to come. */
  content(): CheckedContent {
    return this.#threads.check();
  }

  async close(): Promise<void> {
    await this.#threads.close();
  }

  /** From the deadline on every look-up fails, which ends the check by its own rules. */
  async #inTime<T>(check: (dns: MailAuthDns) => Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<DnsReply<never>>((resolve) => {
      timer = setTimeout(
        () => resolve({ kind: 'failed', message: `no answer within ${String(this.#deadlineMs)} ms` }),
        this.#deadlineMs,
      );
    });
    const dns = this.#dns;
    const timed: MailAuthDns = {
      txt: (name) => Promise.race([dns.txt(name), late]),
      ipv4: (host) => Promise.race([dns.ipv4(host), late]),
      ipv6: (host) => Promise.race([dns.ipv6(host), late]),
      mx: (domain) => Promise.race([dns.mx(domain), late]),
      pointers: (name) => Promise.race([dns.pointers(name), late]),
    };
    try {
      return await check(timed);
    } finally {
      clearTimeout(timer);
    }
  }
}

const BUG = { result: 'temperror', why: 'the check failed' } as const;
