/**
 * The replies to EHLO and HELO: what this session offers. RFC 5321 s4.1.1.1.
 *
 * Offered: PIPELINING (RFC 2920), SIZE (RFC 1870), 8BITMIME (RFC 6152), ENHANCEDSTATUSCODES (RFC 2034). The greeting of
 * the session and these replies carry no enhanced code (RFC 2034 s4).
 */
import type { Reply } from './reply.js';

export interface ExtensionFacts {
  readonly hostname: string;
  readonly maxMessageBytes: number;
}

export function bannerReply(hostname: string): Reply {
  return { code: 220, lines: [`${hostname} ESMTP`] };
}

export function heloReply(hostname: string): Reply {
  return { code: 250, lines: [hostname] };
}

export function ehloReply(facts: ExtensionFacts): Reply {
  return {
    code: 250,
    lines: [facts.hostname, 'PIPELINING', `SIZE ${String(facts.maxMessageBytes)}`, '8BITMIME', 'ENHANCEDSTATUSCODES'],
  };
}
