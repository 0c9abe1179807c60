/** `--mail-auth`: every message is signed, every sender has an SPF record, and the policy asks for both. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DnsServer } from '../test/support/dns-server.js';
import { naivelySigned, rsaKey } from '../test/support/naive-dkim.js';
import type { Scenario } from './scenario.js';

export interface SignedLoad {
  /** What smtp-source sends, with plain line ends. */
  readonly contentFile: string;
  /** Name server that has records and key. */
  readonly dns: string;
  stop(): Promise<void>;
}

/** Rules that need SPF and DKIM of every message, and refuse none of those that are sent here. */
export const MAIL_AUTH_RULES = {
  mail: [
    { name: 'spf', when: { spf: ['fail', 'softfail', 'permerror'] }, reject: '550 5.7.23 SPF does not allow this' },
  ],
  message: [{ name: 'dkim', when: { dkim: { not: 'pass' } }, reject: '550 5.7.20 Not signed' }],
};

export async function signedLoad(scenario: Scenario, folder: string, bodyBytes: number): Promise<SignedLoad> {
  const [domain = ''] = scenario.senderDomains;
  const key = rsaKey();
  const server = await DnsServer.listen({
    [`s1._domainkey.${domain}`]: { txt: [key.record] },
    ...Object.fromEntries(scenario.senderDomains.map((name) => [name, { txt: ['v=spf1 ip4:127.0.0.0/8 -all'] }])),
  });
  const header = `From: app@${domain}\r\nTo: user@dest.test\r\nSubject: bench\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\n`;
  const body = `${'words of a body '.repeat(4).trim()}\r\n`.repeat(Math.ceil(bodyBytes / 65));
  const tags = { v: '1', a: 'rsa-sha256', c: 'relaxed/relaxed', d: domain, s: 's1', h: 'from:to:subject:date' };
  const contentFile = join(folder, 'signed-message');
  const message = naivelySigned(`${header}\r\n${body}`, { key: key.key, tags });
  writeFileSync(contentFile, message.replaceAll('\r\n', '\n'), { mode: 0o644 });
  return { contentFile, dns: server.address, stop: () => server.close() };
}
