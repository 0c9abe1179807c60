/**
 * A scripted remote server on a real socket, for tests of the outbound side. Without a script it is a correct, pipelining
 * ESMTP server that accepts everything; a script replaces its answer at a stage, well-formed or not.
 */
import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';

export type MxStage = 'banner' | 'ehlo' | 'helo' | 'mail' | 'rcpt' | 'data' | 'content' | 'rset' | 'quit';

/** Raw octets to send (CRLF included), or a misdeed. */
export type MxStep =
  | string
  | { readonly kind: 'hang' }
  | { readonly kind: 'drop' }
  | { readonly kind: 'reset' }
  | { readonly kind: 'say-and-drop'; readonly text: string }
  | { readonly kind: 'split'; readonly parts: readonly string[] }
  | { readonly kind: 'stop-reading' };

export interface MxContext {
  /** Counts from 0. */
  readonly connection: number;
  /** Transactions ended on this connection before this command. */
  readonly completed: number;
  readonly line: string;
}

export interface MxScript {
  readonly extensions?: readonly string[];
  readonly at?: Partial<Record<MxStage, MxStep | ((context: MxContext) => MxStep | undefined)>>;
  /** Octets of content after which the connection is dropped or the refusal is said. */
  readonly duringContent?: { readonly afterBytes: number; readonly step: MxStep };
}

export interface MxTransaction {
  readonly connection: number;
  readonly sender: string;
  readonly recipients: readonly string[];
  /** Octets between 354 and the terminator, dot-stuffing removed. */
  readonly content: Buffer;
  /** False when the reply to the content was not 2xx. */
  readonly accepted: boolean;
}

const EXTENSIONS = ['PIPELINING', 'SIZE 52428800', '8BITMIME', 'ENHANCEDSTATUSCODES'];
const END = Buffer.from('\r\n.\r\n');

export class ForeignMx {
  script: MxScript;
  readonly transactions: MxTransaction[] = [];
  readonly commands: string[] = [];
  connections = 0;
  port = 0;
  readonly #sockets = new Set<Socket>();
  readonly #server: Server;

  private constructor(script: MxScript) {
    this.script = script;
    this.#server = createServer((socket) => new MxConversation(this, socket, this.#register(socket)));
  }

  static async listen(script: MxScript = {}, port = 0, address = '127.0.0.1'): Promise<ForeignMx> {
    const mx = new ForeignMx(script);
    await new Promise<void>((resolve, reject) => {
      mx.#server.once('error', reject);
      mx.#server.listen(port, address, resolve);
    });
    mx.port = (mx.#server.address() as AddressInfo).port;
    return mx;
  }

  get accepted(): readonly MxTransaction[] {
    return this.transactions.filter((transaction) => transaction.accepted);
  }

  get open(): number {
    return this.#sockets.size;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #register(socket: Socket): number {
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    this.connections += 1;
    return this.connections - 1;
  }
}

class MxConversation {
  readonly #mx: ForeignMx;
  readonly #socket: Socket;
  readonly #connection: number;
  #buffered = Buffer.alloc(0);
  #content: Buffer[] = [];
  #inContent = false;
  #hung = false;
  #contentBytes = 0;
  #completed = 0;
  #sender = '';
  #recipients: string[] = [];

  constructor(mx: ForeignMx, socket: Socket, connection: number) {
    this.#mx = mx;
    this.#socket = socket;
    this.#connection = connection;
    socket.setNoDelay(true);
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => this.#receive(chunk));
    this.#answer('banner', '', '220 mx.foreign.test ESMTP\r\n');
  }

  #receive(chunk: Buffer): void {
    if (this.#hung) return;
    if (this.#inContent) {
      this.#content.push(chunk);
      this.#watchContent(chunk);
      this.#takeContent();
    } else this.#buffered = Buffer.concat([this.#buffered, chunk]);
    while (!this.#socket.destroyed && !this.#isHung() && !this.#inContent && this.#takeLine());
  }

  #isHung(): boolean {
    return this.#hung;
  }

  #watchContent(chunk: Buffer): void {
    this.#contentBytes += chunk.length;
    const misdeed = this.#mx.script.duringContent;
    if (misdeed !== undefined && this.#contentBytes >= misdeed.afterBytes) this.#perform(misdeed.step);
  }

  #takeLine(): boolean {
    const end = this.#buffered.indexOf('\r\n');
    if (end < 0) return false;
    const line = this.#buffered.toString('utf8', 0, end);
    this.#buffered = this.#buffered.subarray(end + 2);
    this.#mx.commands.push(line);
    this.#command(line);
    return true;
  }

  #takeContent(): void {
    const chunks = this.#content;
    if (chunks.length > 1) {
      // Enough of the end to hold a terminator decides whether the whole is worth searching.
      const tail = Buffer.concat(chunks.slice(-8)).subarray(-5 - (chunks.at(-1)?.length ?? 0));
      if (tail.length > 5 && tail.indexOf(END) < 0) return;
    }
    const withCrlf = Buffer.concat(chunks);
    const end = withCrlf.indexOf(END);
    if (end < 0) return;
    const content = withCrlf.toString('latin1', 2, end + 2).replace(/(^|\r\n)\./g, '$1');
    this.#buffered = withCrlf.subarray(end + END.length);
    this.#content = [];
    this.#inContent = false;
    const said = this.#answer('content', '', '250 2.0.0 Ok: queued\r\n');
    this.#mx.transactions.push({
      connection: this.#connection,
      sender: this.#sender,
      recipients: this.#recipients,
      content: Buffer.from(content, 'latin1'),
      accepted: typeof said === 'string' && said.startsWith('2'),
    });
    this.#completed += 1;
    this.#recipients = [];
  }

  #command(line: string): void {
    const verb = line.slice(0, 4).toUpperCase();
    if (verb === 'EHLO') {
      const lines = ['mx.foreign.test', ...(this.#mx.script.extensions ?? EXTENSIONS)];
      const last = lines.length - 1;
      this.#answer('ehlo', line, lines.map((text, at) => `250${at === last ? ' ' : '-'}${text}\r\n`).join(''));
    } else if (verb === 'HELO') this.#answer('helo', line, '250 mx.foreign.test\r\n');
    else if (verb === 'MAIL') {
      this.#sender = /<(.*)>/.exec(line)?.[1] ?? '';
      this.#answer('mail', line, '250 2.1.0 Ok\r\n');
    } else if (verb === 'RCPT') {
      const said = this.#answer('rcpt', line, '250 2.1.5 Ok\r\n');
      if (typeof said === 'string' && said.startsWith('2')) this.#recipients.push(/<(.*)>/.exec(line)?.[1] ?? '');
    } else if (verb === 'DATA') this.#data(line);
    else if (verb === 'RSET') {
      this.#recipients = [];
      this.#answer('rset', line, '250 2.0.0 Ok\r\n');
    } else if (verb === 'QUIT') {
      this.#answer('quit', line, '221 2.0.0 Bye\r\n');
      this.#socket.end();
    } else this.#socket.write('500 5.5.2 Unknown command\r\n');
  }

  #data(line: string): void {
    const none = this.#recipients.length === 0;
    const said = this.#answer('data', line, none ? '503 5.5.1 No valid recipients\r\n' : '354 Go ahead\r\n');
    if (typeof said !== 'string' || !said.startsWith('3')) return;
    this.#inContent = true;
    this.#contentBytes = this.#buffered.length;
    // The CRLF that ended the DATA line counts as the first of the terminator.
    this.#content = [Buffer.from('\r\n'), this.#buffered];
    this.#buffered = Buffer.alloc(0);
    this.#takeContent();
  }

  #answer(stage: MxStage, line: string, usual: string): MxStep {
    const scripted = this.#mx.script.at?.[stage];
    const context = { connection: this.#connection, completed: this.#completed, line };
    const step = (typeof scripted === 'function' ? scripted(context) : scripted) ?? usual;
    this.#perform(step);
    return step;
  }

  #perform(step: MxStep): void {
    if (typeof step === 'string') {
      this.#socket.write(step, 'latin1');
      return;
    }
    switch (step.kind) {
      case 'hang':
        this.#hung = true;
        break;
      case 'drop':
        this.#socket.destroy();
        break;
      case 'reset':
        this.#socket.resetAndDestroy();
        break;
      case 'say-and-drop':
        this.#socket.end(step.text, 'latin1');
        break;
      case 'split':
        this.#sendParts([...step.parts]);
        break;
      case 'stop-reading':
        this.#hung = true;
        this.#socket.pause();
        break;
    }
  }

  #sendParts(parts: string[]): void {
    const part = parts.shift();
    if (part === undefined || this.#socket.destroyed) return;
    this.#socket.write(part, 'latin1', () => setImmediate(() => this.#sendParts(parts)));
  }
}
