/**
 * What XCLIENT says of the client a trusted front end stands for. Defined by Postfix (XCLIENT_README).
 *
 * An address or port that is no such thing is a fault; `[UNAVAILABLE]` and `[TEMPUNAVAIL]` leave out what they stand for.
 */
import { isIPv4, isIPv6 } from 'node:net';
import { plainAddress } from './client-address.js';
import type { Endpoint, XclientFacts } from './hooks.js';

interface XclientOutcome {
  readonly client: Endpoint;
  readonly facts: XclientFacts;
}

const TEXTS = { name: 'NAME', helo: 'HELO', protocol: 'PROTO', login: 'LOGIN' } as const;

/** Undefined when an attribute holds what it cannot. What is not given stays as it was. */
export function readXclient(
  attributes: ReadonlyMap<string, string>,
  before: { readonly client: Endpoint; readonly xclient: XclientFacts | undefined },
): XclientOutcome | undefined {
  const client = endpointOf(attributes, ['ADDR', 'PORT'], before.client);
  const local = endpointOf(
    attributes,
    ['DESTADDR', 'DESTPORT'],
    before.xclient?.destination ?? { address: '', port: 0 },
  );
  if (client === undefined || local === undefined) return undefined;
  const facts: Record<string, string> = {};
  for (const [fact, name] of Object.entries(TEXTS)) {
    const value = attributes.get(name) ?? before.xclient?.[fact as keyof typeof TEXTS] ?? '';
    if (!isUnknown(value)) facts[fact] = value;
  }
  return { client, facts: local.address === '' ? facts : { ...facts, destination: local } };
}

function isUnknown(value: string): boolean {
  return value === '' || value === '[UNAVAILABLE]' || value === '[TEMPUNAVAIL]';
}

function endpointOf(
  attributes: ReadonlyMap<string, string>,
  [addressName, portName]: readonly [string, string],
  before: Endpoint,
): Endpoint | undefined {
  const rawAddress = attributes.get(addressName) ?? '';
  const rawPort = attributes.get(portName) ?? '';
  const address = isUnknown(rawAddress) ? before.address : addressOf(rawAddress);
  // A port belongs to its address: with another address the old one means nothing.
  const oldPort = address === before.address ? before.port : 0;
  const port = isUnknown(rawPort) ? oldPort : portOf(rawPort);
  return address === undefined || port === undefined ? undefined : { address, port };
}

/** IPv6 carries a tag, as in mail: `IPV6:2001:db8::1`. */
function addressOf(text: string): string | undefined {
  if (isIPv4(text)) return text;
  const untagged = text.replace(/^ipv6:/i, '').toLowerCase();
  return isIPv6(untagged) && !untagged.includes('%') ? plainAddress(untagged) : undefined;
}

function portOf(text: string): number | undefined {
  return /^\d{1,5}$/.test(text) && Number(text) <= 65_535 ? Number(text) : undefined;
}
