/**
 * Greylisting (RFC 6647): who is not known is asked to come back, and who does is known from then on.
 *
 * The verdict is a deferral under one more condition, on the fact `greylist`: what the gateways remember of the client's
 * network, the sender and the recipient. The memory is the gateway's; the decision follows from the fact alone.
 */
import type { DecisionReply, FactValue, GreylistTerms } from './types.js';
import { addressAt, parseIp } from './values/networks.js';
import { durationInWords } from './values/units.js';

/** Whoever has not come back this long after the wait is forgotten (RFC 6647 s5 asks for a day at least). */
export const GREYLIST_RETRY_WINDOW_MS = 2 * 86_400_000;

export function greylistReply({ delayMs }: GreylistTerms, state: FactValue | undefined): DecisionReply {
  const delay = durationInWords(delayMs);
  const when = state === 'waiting' ? `again later, ${delay} after the first attempt` : `again in ${delay}`;
  return { code: 451, enhanced: '4.7.1', text: `Greylisted, try ${when}` };
}

const HOST_BITS = { 4: 8n, 6: 64n } as const;

/** What is remembered of an address: its /24 or /64. A sender that comes back often does so by way of its neighbour. */
export function greylistNetwork(address: string): string {
  const ip = parseIp(address);
  if (ip === undefined) return address;
  const bits = HOST_BITS[ip.version];
  return addressAt(ip.version, (BigInt(ip.bits) >> bits) << bits);
}
