/**
 * The PROXY header that a balancer sends before anything else, version 1 (a line) and 2 (binary): reading only.
 * https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt s2.1, s2.2.
 *
 * In: what has been received so far, from the first octet. Out: the client it tells of and where the header ends, or
 * that more is needed, or what is wrong with it. Never throws. Of the TLVs only the checksum is looked at; unix sockets
 * tell no client. Known gaps: TLVs that name a virtual server or describe TLS at the balancer are skipped.
 */
import { isIPv4, isIPv6, SocketAddress } from 'node:net';
import { plainAddress } from './client-address.js';
import { crc32c } from './crc32c.js';
import type { Endpoint } from './hooks.js';

type ProxyHeader =
  | { readonly kind: 'more' }
  | { readonly kind: 'fault'; readonly why: string }
  /** Without `client` the balancer speaks for itself, or does not know for whom. */
  | { readonly kind: 'done'; readonly headerBytes: number; readonly client?: Endpoint };

const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
/** CRLF included. */
const MAX_LINE_BYTES = 107;
const FIXED_BYTES = 16;
const MAX_BYTES = 536;
/** Octets of both addresses and both ports, by family. */
const ADDRESS_BYTES: Readonly<Record<number, number>> = { 0: 0, 1: 12, 2: 36, 3: 216 };
const LOCAL = 0;
const STREAM = 1;
const CHECKSUM_TYPE = 0x03;
const MORE: ProxyHeader = { kind: 'more' };

export function readProxyHeader(received: Buffer): ProxyHeader {
  const signed = Math.min(received.length, SIGNATURE.length);
  if (received.subarray(0, signed).equals(SIGNATURE.subarray(0, signed))) {
    return received.length < FIXED_BYTES ? MORE : readBinary(received);
  }
  return readLine(received);
}

function fault(why: string): ProxyHeader {
  return { kind: 'fault', why };
}

function readLine(received: Buffer): ProxyHeader {
  const head = received.toString('latin1', 0, MAX_LINE_BYTES);
  if (!'PROXY '.startsWith(head.slice(0, 6))) return fault('no PROXY header');
  const headerBytes = head.indexOf('\n') + 1;
  if (headerBytes === 0) return received.length < MAX_LINE_BYTES ? MORE : fault('the PROXY line exceeds 107 octets');
  const line = head.slice(0, headerBytes);
  if (/^PROXY UNKNOWN(?: [^\r\n]*)?\r\n$/.test(line)) return { kind: 'done', headerBytes };
  const match = /^PROXY (TCP[46]) (\S+) (\S+) (\d+) (\d+)\r\n$/.exec(line);
  if (match === null) return fault('the PROXY line breaks the grammar');
  const [family, source, destination, sourcePort, destinationPort] = match.slice(1) as LineFields;
  const isAddress = family === 'TCP4' ? isIPv4 : isPlainIpv6;
  if (!isAddress(source) || !isAddress(destination)) return fault(`the PROXY line names no ${family} addresses`);
  if (!isPort(sourcePort) || !isPort(destinationPort)) return fault('the PROXY line names no ports');
  return { kind: 'done', headerBytes, client: { address: spelled(source), port: Number(sourcePort) } };
}

type LineFields = [family: string, source: string, destination: string, sourcePort: string, destinationPort: string];

function isPlainIpv6(text: string): boolean {
  return isIPv6(text) && !text.includes('%');
}

function isPort(text: string): boolean {
  return /^(?:0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535;
}

function readBinary(received: Buffer): ProxyHeader {
  const headerBytes = FIXED_BYTES + received.readUInt16BE(14);
  if (headerBytes > MAX_BYTES) return fault('the PROXY header exceeds 536 octets');
  const [version, command] = nibbles(received, 12);
  if (version !== 2 || command > 1) return fault('the PROXY header is of an unknown version or command');
  if (received.length < headerBytes) return MORE;
  const header = received.subarray(0, headerBytes);
  const [family, protocol] = nibbles(received, 13);
  const addressBytes = ADDRESS_BYTES[family];
  // What LOCAL says of addresses is to be ignored, whatever it is.
  const wrong = command === LOCAL ? undefined : addressFault(header, family, protocol);
  const problem = wrong ?? tlvFault(header, FIXED_BYTES + (addressBytes ?? header.length));
  if (problem !== undefined) return fault(problem);
  const client = command === LOCAL ? undefined : clientOf(header, family);
  return client === undefined ? { kind: 'done', headerBytes } : { kind: 'done', headerBytes, client };
}

function nibbles(received: Buffer, at: number): [high: number, low: number] {
  const octet = received.readUInt8(at);
  return [octet >> 4, octet & 15];
}

function addressFault(header: Buffer, family: number, protocol: number): string | undefined {
  const addressBytes = ADDRESS_BYTES[family];
  if (addressBytes === undefined || protocol > 2) return 'the PROXY header names an unknown family';
  if (header.length < FIXED_BYTES + addressBytes) return 'the PROXY header is too short for its addresses';
  const isInternet = family === 1 || family === 2;
  return isInternet && protocol !== STREAM ? 'the PROXY header is not of a TCP connection' : undefined;
}

function clientOf(header: Buffer, family: number): Endpoint | undefined {
  if (family === 1) return { address: header.subarray(16, 20).join('.'), port: header.readUInt16BE(24) };
  if (family === 2) return { address: spelled(ipv6Text(header.subarray(16, 32))), port: header.readUInt16BE(48) };
  return undefined;
}

function ipv6Text(octets: Buffer): string {
  return Array.from({ length: 8 }, (_, at) => octets.readUInt16BE(at * 2).toString(16)).join(':');
}

/** One address has one spelling: that of RFC 5952 s4. */
function spelled(address: string): string {
  return isIPv4(address) ? address : plainAddress(new SocketAddress({ address, family: 'ipv6' }).address);
}

/** The TLVs behind the addresses are whole, and the checksum among them is right. s2.2.4 */
function tlvFault(header: Buffer, from: number): string | undefined {
  for (let at = from; at < header.length;) {
    const begins = at + 3;
    const ends = begins > header.length ? Number.POSITIVE_INFINITY : begins + header.readUInt16BE(at + 1);
    if (ends > header.length) return 'the PROXY header ends inside a TLV';
    if (header[at] === CHECKSUM_TYPE && (ends - begins !== 4 || !isRight(header, begins))) {
      return 'the checksum of the PROXY header is wrong';
    }
    at = ends;
  }
  return undefined;
}

function isRight(header: Buffer, at: number): boolean {
  const zeroed = Buffer.from(header);
  zeroed.fill(0, at, at + 4);
  return crc32c(zeroed) === header.readUInt32BE(at);
}
