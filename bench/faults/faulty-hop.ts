/**
 * A next hop that misbehaves on command: refuses, hangs, goes away, or hangs up after the final dot. It shares no code with
 * the product, and writes down every octet that it was given.
 */
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import type { Ledger } from './ledger.js';

export type HopMode = 'accept' | 'refuse' | 'hang' | 'drop' | 'away';

const END = '\r\n.\r\n';

export class FaultyHop {
  readonly #ledger: Ledger;
  readonly #sockets = new Set<Socket>();
  readonly #server: Server;
  #port: number;
  #mode: HopMode = 'accept';

  constructor(ledger: Ledger, port: number) {
    this.#ledger = ledger;
    this.#port = port;
    this.#server = createServer((socket) => {
      if (this.#mode === 'away') socket.destroy();
      else this.#serve(socket);
    });
  }

  get port(): number {
    return this.#port;
  }

  get mode(): HopMode {
    return this.#mode;
  }

  async listen(): Promise<void> {
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    const address = this.#server.address();
    if (typeof address === 'object' && address !== null) this.#port = address.port;
  }

  /** Whoever was kept waiting, or is not wanted any more, is cut off. */
  become(mode: HopMode): void {
    if (this.#mode === 'hang' || mode === 'away') for (const socket of this.#sockets) socket.destroy();
    this.#mode = mode;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('error', () => undefined);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.write('220 hop.test ESMTP\r\n');
    const session = new HopSession(socket, () => this.#mode, this.#ledger);
    socket.on('data', (chunk: Buffer) => session.receive(chunk));
  }
}

class HopSession {
  readonly #socket: Socket;
  readonly #mode: () => HopMode;
  readonly #ledger: Ledger;
  #chunks: Buffer[] = [];
  #inContent = false;
  #sender = '';
  #refused = 0;
  #accepted = 0;

  constructor(socket: Socket, mode: () => HopMode, ledger: Ledger) {
    this.#socket = socket;
    this.#mode = mode;
    this.#ledger = ledger;
  }

  receive(chunk: Buffer): void {
    this.#chunks.push(chunk);
    // The end of a content is looked for where it can be: not in every chunk of a large message.
    if (this.#inContent && !chunk.subarray(-16).includes('.') && !chunk.includes(END)) return;
    let held = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks);
    for (;;) {
      const rest = this.#inContent ? this.#content(held) : this.#command(held);
      if (rest === undefined) break;
      held = rest;
    }
    this.#chunks = held.length === 0 ? [] : [held];
  }

  #content(held: Buffer): Buffer | undefined {
    const end = held.indexOf(END);
    if (end < 0) return undefined;
    this.#inContent = false;
    const content = Buffer.from(
      held
        .subarray(0, end + 2)
        .toString('latin1')
        .replace(/^\.\./gm, '.'),
      'latin1',
    );
    const mode = this.#mode();
    const answered = mode === 'accept' || mode === 'refuse';
    if (this.#sender === '') this.#ledger.bounce(content);
    else this.#ledger.arrive(content, answered);
    if (mode === 'drop') this.#socket.destroy();
    else this.#say('250 2.0.0 stored');
    return held.subarray(end + END.length);
  }

  #command(held: Buffer): Buffer | undefined {
    const end = held.indexOf('\r\n');
    if (end < 0) return undefined;
    this.#answer(held.subarray(0, end).toString('latin1'));
    return held.subarray(end + 2);
  }

  #answer(line: string): void {
    const verb = line.slice(0, 4).toUpperCase();
    if (verb === 'EHLO') this.#say('250-hop.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE');
    else if (verb === 'MAIL') this.#mail(line);
    else if (verb === 'RCPT') this.#recipient(line);
    else if (verb === 'DATA') this.#data();
    else if (verb === 'QUIT') this.#socket.end('221 2.0.0 bye\r\n');
    else this.#say('250 2.0.0 ok');
  }

  #mail(line: string): void {
    this.#sender = /<([^>]*)>/.exec(line)?.[1] ?? '';
    this.#accepted = 0;
    this.#refused = 0;
    this.#say('250 2.1.0 ok');
  }

  #recipient(line: string): void {
    const temporary = this.#mode() === 'refuse';
    const permanent = /<reject/i.test(line);
    if (temporary || permanent) this.#refused += 1;
    else this.#accepted += 1;
    if (temporary) this.#say('450 4.2.0 not now');
    else this.#say(permanent ? '550 5.1.1 nobody here' : '250 2.1.5 ok');
  }

  #data(): void {
    this.#inContent = this.#accepted > 0;
    this.#say(this.#inContent ? '354 go on' : '554 5.5.1 no recipients');
  }

  #say(reply: string): void {
    if (this.#mode() !== 'hang') this.#socket.write(`${reply}\r\n`);
  }
}
