/**
 * A person at a terminal: opens a connection, sends exactly the octets it is told, and reads replies one at a time.
 * For sessions that must be held open, cut or confused; ordinary mail is sent by foreign clients.
 */
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { connect as connectTls, TLSSocket } from 'node:tls';
import type { ConnectionOptions } from 'node:tls';

export interface DialogOptions {
  readonly host?: string;
  readonly port: number;
  readonly deadlineMs?: number;
}

export interface Envelope {
  readonly sender: string;
  readonly recipients: readonly string[];
}

/** A whole reply: all its lines without CRLF. `code` is 0 when the connection ended instead. */
export interface DialogReply {
  readonly code: number;
  readonly lines: readonly string[];
  readonly text: string;
}

export class SmtpDialog {
  #socket: Socket;
  readonly #deadlineMs: number;
  #received = '';
  #ended = false;
  #replies = 0;
  #wake: () => void = () => undefined;

  private constructor(socket: Socket, deadlineMs: number) {
    this.#socket = socket;
    this.#deadlineMs = deadlineMs;
    this.#listenTo(socket);
  }

  #listenTo(socket: Socket): void {
    socket.setNoDelay(true);
    socket.setEncoding('latin1');
    socket.on('data', (chunk: string) => {
      this.#received += chunk;
      this.#wake();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.#ended = true;
      this.#wake();
    });
  }

  /** Whether a first reply, the banner, was read. */
  get greeted(): boolean {
    return this.#replies > 0;
  }

  /** Connects and does not wait for the banner. */
  static async open(options: DialogOptions): Promise<SmtpDialog> {
    const socket = connect({ host: options.host ?? '127.0.0.1', port: options.port });
    await once(socket, 'connect');
    return new SmtpDialog(socket, options.deadlineMs ?? 15_000);
  }

  /** As `open`, under TLS from the first octet on. */
  static async openSecure(options: DialogOptions, tls: ConnectionOptions = {}): Promise<SmtpDialog> {
    const dialog = await SmtpDialog.open(options);
    await dialog.#secure(tls);
    return dialog;
  }

  /** Connects, reads the banner and says EHLO. */
  static async start(options: DialogOptions): Promise<SmtpDialog> {
    const dialog = await SmtpDialog.open(options);
    await dialog.expect(220);
    await dialog.command('EHLO dialog.test', 250);
    return dialog;
  }

  /** STARTTLS, and EHLO behind it. Any certificate will do. */
  async startTls(tls: ConnectionOptions = {}): Promise<void> {
    await this.command('STARTTLS', 220);
    await this.#secure(tls);
    await this.command('EHLO dialog.test', 250);
  }

  /** The certificate that the server shows: SHA-256, lower-case hex. */
  get serverFingerprint(): string {
    if (!(this.#socket instanceof TLSSocket)) throw new Error('no TLS');
    return this.#socket.getPeerCertificate().fingerprint256.replaceAll(':', '').toLowerCase();
  }

  async #secure(tls: ConnectionOptions): Promise<void> {
    const plain = this.#socket;
    plain.removeAllListeners('data').removeAllListeners('close');
    const socket = connectTls({ rejectUnauthorized: false, ...tls, socket: plain });
    await once(socket, 'secureConnect');
    this.#socket = socket;
    this.#listenTo(socket);
  }

  write(octets: string | Buffer): void {
    this.#socket.write(octets, 'latin1');
  }

  async command(line: string, expected?: number): Promise<DialogReply> {
    this.write(`${line}\r\n`);
    return expected === undefined ? this.reply() : this.expect(expected);
  }

  async expect(code: number): Promise<DialogReply> {
    const reply = await this.reply();
    if (reply.code !== code) throw new Error(`expected ${String(code)}, got: ${reply.text || 'end of connection'}`);
    return reply;
  }

  async reply(): Promise<DialogReply> {
    const endsAt = performance.now() + this.#deadlineMs;
    for (;;) {
      const whole = /^(?:\d{3}-[^\r\n]*\r\n)*(\d{3})(?: [^\r\n]*)?\r\n/.exec(this.#received);
      if (whole !== null) {
        this.#received = this.#received.slice(whole[0].length);
        this.#replies += 1;
        const lines = whole[0].slice(0, -2).split('\r\n');
        return { code: Number(whole[1]), lines, text: lines.join('\n') };
      }
      if (this.#ended) return { code: 0, lines: [], text: '' };
      await this.#something(endsAt);
    }
  }

  /** Sends one whole message; resolves with the last reply, whichever ended the transaction. */
  async deliver(envelope: Envelope, content: Buffer): Promise<DialogReply> {
    const mail = await this.command(`MAIL FROM:<${envelope.sender}>`);
    if (mail.code !== 250) return mail;
    for (const recipient of envelope.recipients) {
      const rcpt = await this.command(`RCPT TO:<${recipient}>`);
      if (rcpt.code !== 250) return rcpt;
    }
    const data = await this.command('DATA');
    if (data.code !== 354) return data;
    this.write(stuffed(content));
    return this.reply();
  }

  async quit(): Promise<void> {
    await this.command('QUIT');
    this.destroy();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  async #something(endsAt: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(
        () => {
          reject(new Error(`no reply after ${String(this.#deadlineMs)} ms; received so far: ${this.#received}`));
        },
        Math.max(0, endsAt - performance.now()),
      );
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

/** RFC 5321 s4.5.2, and the end of the content. */
export function stuffed(content: Buffer): Buffer {
  const text = content.toString('latin1').replace(/^\./gm, '..');
  return Buffer.from(`${text}${text === '' || text.endsWith('\r\n') ? '' : '\r\n'}.\r\n`, 'latin1');
}
