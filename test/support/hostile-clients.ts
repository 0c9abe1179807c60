/**
 * Clients that mean no good, each a few octets of habit: what scanners, worms and smugglers do to an open port. Each
 * resolves when it has done its worst, and when the server has closed on it if that is what it waits for.
 */
import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

export type HostileClient = (port: number) => Promise<void>;

const ENVELOPE = 'EHLO hostile.test\r\nMAIL FROM:<a@hostile.test>\r\nRCPT TO:<b@mx.test>\r\nDATA\r\n';
const PATIENCE_MS = 10_000;
const MIB = 1_048_576;

class Hostile {
  readonly socket: Socket;
  readonly #closed: Promise<void>;
  #heard = '';
  #wake: () => void = () => undefined;

  constructor(port: number) {
    this.socket = connect({ port, host: '127.0.0.1', noDelay: true });
    this.#closed = new Promise((resolve) => {
      this.socket.once('close', () => {
        resolve();
        this.#wake();
      });
    });
    this.socket.on('error', () => this.socket.destroy());
    this.socket.on('data', (bytes) => {
      this.#heard = (this.#heard + bytes.toString('latin1')).slice(-1000);
      this.#wake();
    });
  }

  /** Writes as fast as the server takes it, until it closes. */
  async pour(octets: string | Buffer, times = 1): Promise<void> {
    for (let time = 0; time < times && this.socket.writable; time += 1) {
      if (!this.socket.write(octets)) await this.#once('drain');
    }
  }

  /** Line by line, each after a reply to the one before. */
  async talk(lines: string): Promise<void> {
    for (const line of lines.split(/(?<=\r\n)/)) {
      await this.heard(/^\d{3} [^\n]*\n$/m);
      this.#heard = '';
      this.socket.write(line);
    }
    await this.heard(/^\d{3} [^\n]*\n$/m);
  }

  async heard(what: RegExp): Promise<void> {
    const until = performance.now() + PATIENCE_MS;
    while (!what.test(this.#heard) && !this.socket.closed && performance.now() < until) {
      await Promise.race([new Promise<void>((resolve) => (this.#wake = resolve)), delay(100)]);
    }
  }

  /** Hangs up after the server did, or after some patience. */
  async end(patienceMs = PATIENCE_MS): Promise<void> {
    this.socket.resume();
    await Promise.race([this.#closed, delay(patienceMs, undefined, { ref: false })]);
    this.socket.destroy();
    await this.#closed;
  }

  async #once(event: string): Promise<void> {
    const happened = new Promise<void>((resolve) => this.socket.once(event, resolve));
    await Promise.race([happened, this.#closed, delay(PATIENCE_MS, undefined, { ref: false })]);
  }
}

function hostile(play: (client: Hostile) => Promise<unknown>, patienceMs?: number): HostileClient {
  return async (port) => {
    const client = new Hostile(port);
    await play(client);
    await client.end(patienceMs);
  };
}

/** By what they do. `volume` 1 pours a few megabytes each; less is for places where many clients share a processor. */
export function hostileClients(volume: number): Readonly<Record<string, HostileClient>> {
  const times = (count: number): number => Math.max(1, Math.round(count * volume));
  return {
    'a line without end': hostile((client) => client.pour(Buffer.alloc(65_536, 'x'), times(64)), 100),
    'lines of a megabyte': hostile((client) => client.pour(`${'x'.repeat(times(MIB))}\r\n`, 40)),
    'ten thousand recipients': hostile(async (client) => {
      await client.talk('EHLO hostile.test\r\nMAIL FROM:<>\r\n');
      for (let at = 0; at < times(100); at += 1) {
        await client.pour(
          Array.from({ length: 100 }, (_, of) => `RCPT TO:<u${String(at * 100 + of)}@mx.test>\r\n`).join(''),
        );
      }
    }, 1_000),
    'a flood of header fields': hostile(async (client) => {
      await client.talk(ENVELOPE);
      await client.pour(`X-Flood: ${'y'.repeat(60)}\r\n`.repeat(1000), times(100));
      await client.pour('\r\n.\r\n');
    }, 1_000),
    'near misses of the end': hostile(async (client) => {
      await client.talk(ENVELOPE);
      await client.pour('\r\n.\r\r\n\r\n..\r\n.\r.\r\n\r\n.x\r\n\r.\r\n\n.\r\n'.repeat(20_000), times(5));
      await client.pour('\r\n.\r\n');
    }, 1_000),
    'smuggled commands': hostile(async (client) => {
      await client.talk(ENVELOPE);
      await client.pour('x\n.\nMAIL FROM:<evil@hostile.test>\r\nRCPT TO:<c@mx.test>\r\nDATA\r\nevil\r\n.\r\n');
    }, 300),
    'commands and no reading': hostile(async (client) => {
      await client.talk('EHLO hostile.test\r\nMAIL FROM:<>\r\n');
      client.socket.pause();
      await Promise.race([client.pour('RCPT TO:<a@mx.test>\r\n'.repeat(5_000), times(100)), delay(1_500)]);
    }, 100),
    'an HTTP request': hostile((client) =>
      client.pour(`POST / HTTP/1.1\r\nHost: mx.test\r\nContent-Length: 99\r\n\r\n${ENVELOPE}evil\r\n.\r\n`),
    ),
    'a TLS hello in the clear': hostile((client) => client.pour(Buffer.from('160301020001000130303', 'hex'), 2), 300),
    noise: hostile((client) => client.pour(randomBytes(200_000), times(10)), 300),
    'half a command, half closed': hostile(async (client) => {
      await client.talk('EHLO hostile.test\r\n');
      client.socket.end('MAIL FR');
    }),
    'a reset in content': hostile(async (client) => {
      await client.talk(ENVELOPE);
      await client.pour('half a line');
      client.socket.resetAndDestroy();
    }),
    'commands that move no mail': hostile((client) => client.pour('NOOP\r\nRSET\r\n'.repeat(500), 4)),
    'a chunk that never comes': hostile(async (client) => {
      await client.talk('EHLO hostile.test\r\nMAIL FROM:<>\r\nRCPT TO:<b@mx.test>\r\n');
      await client.pour('BDAT 4294967296\r\nMAIL FROM:<evil@hostile.test>\r\n');
    }, 300),
    'STARTTLS and silence': hostile((client) => client.talk('EHLO hostile.test\r\nSTARTTLS\r\n'), 500),
    'STARTTLS and noise': hostile(async (client) => {
      await client.talk('EHLO hostile.test\r\nSTARTTLS\r\n');
      await client.pour(randomBytes(5_000), 3);
    }),
    'STARTTLS and commands': hostile(async (client) => {
      await client.talk('EHLO hostile.test\r\n');
      await client.pour(`STARTTLS\r\n${ENVELOPE}evil\r\n.\r\n`);
    }),
    'a response without end': hostile(async (client) => {
      await client.talk('EHLO hostile.test\r\nAUTH PLAIN\r\n');
      await client.pour(Buffer.alloc(65_536, 'A'), times(32));
    }, 300),
    silence: hostile(() => Promise.resolve(), 500),
    'a letter a time': hostile(async (client) => {
      for (const letter of 'EHLO hostile.test') {
        await client.pour(letter);
        await delay(30);
      }
    }, 100),
    'connect and reset': hostile((client) => {
      client.socket.once('connect', () => client.socket.resetAndDestroy());
      return Promise.resolve();
    }),
  };
}
