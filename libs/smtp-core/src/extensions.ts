/**
 * The banner and the replies to EHLO and HELO: what this session offers. RFC 5321 s4.1.1.1.
 *
 * PIPELINING (RFC 2920), SIZE (RFC 1870), 8BITMIME (RFC 6152), ENHANCEDSTATUSCODES (RFC 2034), SMTPUTF8 (RFC 6531),
 * CHUNKING (RFC 3030), DSN (RFC 3461), LIMITS (RFC 9422), STARTTLS (RFC 3207), AUTH (RFC 4954), XCLIENT (Postfix). The
 * greeting of the session and these replies carry no enhanced code (RFC 2034 s4).
 */
import type { Reply } from './reply.js';
import { OFFERED_XCLIENT_ATTRIBUTES } from './xclient.js';

/** What is offered at this moment, beyond what always is. */
export interface Offers {
  readonly smtpUtf8: boolean;
  readonly chunking: boolean;
  readonly dsn: boolean;
  readonly startTls: boolean;
  /** Empty: AUTH is not offered. */
  readonly authMechanisms: readonly string[];
  readonly xclient: boolean;
}

export interface ExtensionFacts {
  readonly hostname: string;
  readonly maxMessageBytes: number;
  readonly maxRecipients: number;
  readonly offers: Offers;
}

/** RFC 9422 s4: at most six digits. */
const MAX_ADVERTISED_RECIPIENTS = 999_999;

export function bannerReply(hostname: string): Reply {
  return { code: 220, lines: [`${hostname} ESMTP`] };
}

export function heloReply(hostname: string): Reply {
  return { code: 250, lines: [hostname] };
}

export function ehloReply({ hostname, maxMessageBytes, maxRecipients, offers }: ExtensionFacts): Reply {
  const lines = [hostname, 'PIPELINING', `SIZE ${String(maxMessageBytes)}`, '8BITMIME', 'ENHANCEDSTATUSCODES'];
  if (offers.smtpUtf8) lines.push('SMTPUTF8');
  if (offers.chunking) lines.push('CHUNKING');
  if (offers.dsn) lines.push('DSN');
  if (offers.startTls) lines.push('STARTTLS');
  if (offers.authMechanisms.length > 0) lines.push(`AUTH ${offers.authMechanisms.join(' ')}`);
  if (offers.xclient) lines.push(`XCLIENT ${OFFERED_XCLIENT_ATTRIBUTES.join(' ')}`);
  lines.push(`LIMITS RCPTMAX=${String(Math.min(maxRecipients, MAX_ADVERTISED_RECIPIENTS))}`);
  return { code: 250, lines };
}
