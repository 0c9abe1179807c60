/**
 * A client that speaks raw SMTP over a real socket, line by line, with a deadline on everything it waits for.
 */
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { ConnectionOptions, TLSSocket } from 'node:tls';

const DEADLINE_MS = 10_000;

export class SmtpPeer {
  readonly socket: Socket;
  #text = '';
  #over = false;
  #isUnderTls = false;
  #wake: () => void = () => undefined;

  /** On a port of this machine, or over a socket that is there already. */
  constructor(where: number | Socket) {
    this.socket = typeof where === 'number' ? connect({ port: where, host: '127.0.0.1', noDelay: true }) : where;
    this.socket.on('data', (bytes) => {
      this.#text += bytes.toString('latin1');
      this.#wake();
    });
    this.socket.on('error', () => undefined);
    for (const event of ['end', 'close'] as const) {
      this.socket.on(event, () => {
        this.#over = true;
        this.#wake();
      });
    }
  }

  /** The next whole reply, its lines joined by `|`; `closed` when the server has closed instead. */
  async reply(): Promise<string> {
    await this.#until(() => /^(?:\d{3}-[^\n]*\n)*\d{3} [^\n]*\n/.test(this.#text) || this.#over);
    const match = /^(?:\d{3}-[^\n]*\r\n)*\d{3} [^\n]*\r\n/.exec(this.#text);
    if (match === null) return 'closed';
    this.#text = this.#text.slice(match[0].length);
    return match[0].trimEnd().replaceAll('\r\n', '|');
  }

  /** Writes the lines in one piece and reads one reply for each. */
  async say(...lines: readonly string[]): Promise<readonly string[]> {
    this.write(lines.map((line) => `${line}\r\n`).join(''));
    const replies: string[] = [];
    for (const _ of lines) replies.push(await this.reply());
    return replies;
  }

  /** Banner, EHLO, MAIL, RCPT; then DATA when `upTo` says so. */
  async begin(upTo: 'ehlo' | 'rcpt' | 'data' = 'data'): Promise<void> {
    await this.reply();
    await this.say('EHLO client.test');
    if (upTo !== 'ehlo') await this.say('MAIL FROM:<a@client.test>', 'RCPT TO:<b@mx.test>');
    if (upTo === 'data') await this.say('DATA');
  }

  /** STARTTLS, and the peer that speaks through it; this one hears nothing any more. */
  async startTls(options: ConnectionOptions = {}): Promise<TlsPeer> {
    const [reply = ''] = await this.say('STARTTLS');
    if (!reply.startsWith('220')) throw new Error(reply);
    this.#isUnderTls = true;
    return handshake({ ...options, socket: this.socket });
  }

  write(text: string | Uint8Array): void {
    this.socket.write(text);
  }

  /** Resolves when the server has closed its side. */
  async closed(): Promise<void> {
    await this.#until(() => this.#over);
    if (!this.#over) throw new Error('the server did not close the connection');
  }

  async destroy(): Promise<void> {
    // Node 20 crashes when a socket and the TLS over it are destroyed in one go: the one above does it.
    if (this.socket.closed || this.#isUnderTls) return;
    const closed = new Promise((resolve) => this.socket.once('close', resolve));
    this.socket.destroy();
    await closed;
  }

  async #until(done: () => boolean): Promise<void> {
    const startedMs = performance.now();
    const deadline = setTimeout(() => {
      this.#wake();
    }, DEADLINE_MS);
    while (!done() && performance.now() - startedMs < DEADLINE_MS) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    clearTimeout(deadline);
    if (!done())
      throw new Error(`nothing came within ${String(DEADLINE_MS)} ms; unread: ${JSON.stringify(this.#text)}`);
  }
}

/** One that speaks TLS. */
export interface TlsPeer extends SmtpPeer {
  readonly socket: TLSSocket;
}

/** TLS from the first octet. The certificate is not judged; rejects when the handshake fails. */
export function handshake(options: ConnectionOptions): Promise<TlsPeer> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ host: '127.0.0.1', rejectUnauthorized: false, ...options });
    const peer = new SmtpPeer(socket) as TlsPeer;
    socket.once('secureConnect', () => {
      resolve(peer);
    });
    socket.once('error', reject);
    socket.once('close', () => {
      reject(new Error('closed in the handshake'));
    });
  });
}

/** Waits for a condition by looking again and again, with a deadline. */
export async function eventually(condition: () => boolean, what: string): Promise<void> {
  const deadlineMs = performance.now() + DEADLINE_MS;
  while (!condition()) {
    if (performance.now() > deadlineMs) throw new Error(`never came true: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
