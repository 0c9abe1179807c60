/**
 * A DNS server on loopback for tests: zones are plain tables, and a name may be told to fail, stay silent or answer with
 * garbage. UDP and TCP; truncation as real servers do it.
 */
import { createSocket } from 'node:dgram';
import type { Socket as UdpSocket } from 'node:dgram';
import { createServer } from 'node:net';
import type { Server } from 'node:net';
import type { AddressInfo } from 'node:net';
import { AUTHORITATIVE_ANSWER, decode, encode, TRUNCATED_RESPONSE } from 'dns-packet';
import type { Answer, Packet } from 'dns-packet';

export interface DnsZone {
  readonly mx?: readonly (readonly [priority: number, exchange: string])[];
  readonly a?: readonly string[];
  readonly aaaa?: readonly string[];
  readonly cname?: string;
  /** Under `9.113.0.203.in-addr.arpa` and the like. */
  readonly ptr?: readonly string[];
  /** Each a record: one text, cut into strings of 255 octets, or its strings. */
  readonly txt?: readonly (string | readonly string[])[];
  readonly ttlSeconds?: number;
  /** Instead of an answer. `truncated`: UDP says so, TCP has the records. */
  readonly misdeed?: 'servfail' | 'refused' | 'silent' | 'garbage' | 'truncated';
}

const RCODES = { nxdomain: 3, servfail: 2, refused: 5 };

export class DnsServer {
  readonly zones: Record<string, DnsZone>;
  /** `TYPE name`, in the order asked. */
  readonly questions: string[] = [];
  readonly #udp: UdpSocket;
  readonly #tcp: Server;

  private constructor(zones: Record<string, DnsZone>) {
    this.zones = zones;
    this.#udp = createSocket('udp4');
    this.#udp.on('message', (query, from) => {
      const answer = this.#answer(query, true);
      if (answer !== undefined) this.#udp.send(answer, from.port, from.address);
    });
    this.#tcp = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.on('data', (data) => {
        const answer = this.#answer(data.subarray(2), false);
        if (answer === undefined) return;
        const length = Buffer.alloc(2);
        length.writeUInt16BE(answer.length);
        socket.end(Buffer.concat([length, answer]));
      });
    });
  }

  static async listen(zones: Record<string, DnsZone>): Promise<DnsServer> {
    const server = new DnsServer(zones);
    await new Promise<void>((resolve) => server.#tcp.listen(0, '127.0.0.1', resolve));
    const { port } = server.#tcp.address() as AddressInfo;
    await new Promise<void>((resolve) => server.#udp.bind(port, '127.0.0.1', resolve));
    return server;
  }

  /** As `setServers` of node:dns wants it. */
  get address(): string {
    return `127.0.0.1:${String(this.#udp.address().port)}`;
  }

  async close(): Promise<void> {
    await new Promise<void>((resolve) => this.#udp.close(() => resolve()));
    await new Promise<void>((resolve) => this.#tcp.close(() => resolve()));
  }

  #answer(query: Buffer, isUdp: boolean): Buffer | undefined {
    const packet = decode(query);
    const question = packet.questions?.[0];
    if (question === undefined) return undefined;
    const name = question.name.toLowerCase();
    this.questions.push(`${question.type} ${name}`);
    const zone = this.zones[name];
    const reply: Packet = { type: 'response', id: packet.id ?? 0, flags: AUTHORITATIVE_ANSWER, questions: [question] };
    if (zone === undefined) return encode({ ...reply, flags: AUTHORITATIVE_ANSWER | RCODES.nxdomain });
    if (zone.misdeed === 'silent') return undefined;
    if (zone.misdeed === 'garbage') return Buffer.concat([query.subarray(0, 2), Buffer.from('not a packet')]);
    if (zone.misdeed === 'servfail' || zone.misdeed === 'refused')
      return encode({ ...reply, flags: RCODES[zone.misdeed] });
    if (zone.misdeed === 'truncated' && isUdp)
      return encode({ ...reply, flags: AUTHORITATIVE_ANSWER | TRUNCATED_RESPONSE });
    return encode({ ...reply, answers: this.#records(name, question.type) });
  }

  /** A loop of CNAMEs is given once around. */
  #records(name: string, type: string, seen: readonly string[] = []): Answer[] {
    const zone = this.zones[name];
    if (zone === undefined || seen.includes(name)) return [];
    const { ttlSeconds: ttl = 60 } = zone;
    if (zone.cname !== undefined) {
      return [{ type: 'CNAME', name, ttl, data: zone.cname }, ...this.#records(zone.cname, type, [...seen, name])];
    }
    if (type === 'MX')
      return (zone.mx ?? []).map(([preference, exchange]) => ({
        type: 'MX',
        name,
        ttl,
        data: { preference, exchange },
      }));
    if (type === 'A' || type === 'AAAA' || type === 'PTR') {
      const values = { A: zone.a, AAAA: zone.aaaa, PTR: zone.ptr }[type];
      return values?.map((data) => ({ type, name, ttl, data })) ?? [];
    }
    if (type === 'TXT') {
      return (zone.txt ?? []).map((text) => ({ type: 'TXT', name, ttl, data: stringsOf(text) }));
    }
    return [];
  }
}

function stringsOf(text: string | readonly string[]): Buffer[] {
  const strings = typeof text === 'string' ? (text.match(/[^]{1,255}/g) ?? ['']) : text;
  return strings.map((one) => Buffer.from(one, 'latin1'));
}
