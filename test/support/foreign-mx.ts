/**
 * A scripted remote server on a real socket, for tests of the outbound side. Without a script it is a correct, pipelining
 * ESMTP server that accepts everything (LMTP after LHLO); a script replaces its answer at a stage, well-formed or not.
 */
import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { createSecureContext, TLSSocket } from 'node:tls';
import type { SecureContextOptions } from 'node:tls';

export type MxStage =
  'banner' | 'ehlo' | 'helo' | 'starttls' | 'auth' | 'mail' | 'rcpt' | 'data' | 'content' | 'rset' | 'quit';

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
  /** The command; for the content in LMTP the recipient whose reply is due. */
  readonly line: string;
  readonly encrypted: boolean;
}

export interface MxTls {
  readonly mode?: 'starttls' | 'implicit';
  /** Certificate, key, versions. */
  readonly server: SecureContextOptions;
  readonly requestCertificate?: boolean;
  /** Instead of the handshake. */
  readonly instead?: MxStep;
}

export interface MxScript {
  /** Offers STARTTLS, or speaks TLS from the first octet. */
  readonly tls?: MxTls;
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
  readonly encrypted: boolean;
  /** Came by BDAT. */
  readonly chunked?: true;
  /** Common name of the client's certificate. */
  readonly clientName?: string;
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
  #socket: Socket;
  #encrypted = false;
  #lmtp = false;
  #inAuth = false;
  readonly #connection: number;
  #buffered = Buffer.alloc(0);
  #content: Buffer[] = [];
  #inContent = false;
  #hung = false;
  #contentBytes = 0;
  /** Octets of a BDAT chunk to come; -1: none is awaited. */
  #chunkLeft = -1;
  #completed = 0;
  #sender = '';
  #recipients: string[] = [];
  readonly #handlers: Readonly<Record<string, (line: string) => void>> = {
    EHLO: (line) => this.#ehlo(line),
    LHLO: (line) => this.#ehlo(line),
    HELO: (line) => void this.#answer('helo', line, '250 mx.foreign.test\r\n'),
    STAR: (line) => this.#starttls(line),
    AUTH: (line) => this.#auth(line),
    MAIL: (line) => this.#mail(line),
    RCPT: (line) => this.#rcpt(line),
    DATA: (line) => this.#data(line),
    BDAT: (line) => this.#bdat(line),
    RSET: (line) => this.#rset(line),
    QUIT: (line) => this.#quit(line),
  };

  constructor(mx: ForeignMx, socket: Socket, connection: number) {
    this.#mx = mx;
    this.#socket = socket;
    this.#connection = connection;
    socket.setNoDelay(true);
    socket.on('error', () => undefined);
    if (mx.script.tls?.mode === 'implicit') {
      this.#startTls(mx.script.tls, () => this.#greet());
      return;
    }
    socket.on('data', (chunk) => this.#receive(chunk));
    this.#greet();
  }

  #greet(): void {
    this.#answer('banner', '', '220 mx.foreign.test ESMTP\r\n');
  }

  #startTls(tls: MxTls, established: () => void): void {
    if (tls.instead !== undefined) {
      this.#perform(tls.instead);
      return;
    }
    this.#socket.removeAllListeners('data');
    const secureContext = createSecureContext(tls.server);
    const options = { isServer: true, secureContext, requestCert: tls.requestCertificate ?? false };
    const socket = new TLSSocket(this.#socket, { ...options, rejectUnauthorized: false });
    this.#socket = socket;
    this.#buffered = Buffer.alloc(0);
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => this.#receive(chunk));
    socket.once('secure', () => {
      this.#encrypted = true;
      established();
    });
  }

  #receive(chunk: Buffer): void {
    if (this.#hung) return;
    if (this.#chunkLeft >= 0) {
      this.#content.push(chunk);
      this.#contentBytes += chunk.length;
      if (this.#buffered.length + this.#contentBytes < this.#chunkLeft) return;
      this.#buffered = Buffer.concat([this.#buffered, ...this.#content.splice(0)]);
    } else if (this.#inContent) {
      this.#content.push(chunk);
      this.#watchContent(chunk);
      this.#takeContent();
    } else this.#buffered = Buffer.concat([this.#buffered, chunk]);
    while (!this.#socket.destroyed && !this.#isHung() && !this.#inContent && this.#takeChunkOrLine());
  }

  #isHung(): boolean {
    return this.#hung;
  }

  #watchContent(chunk: Buffer): void {
    this.#contentBytes += chunk.length;
    const misdeed = this.#mx.script.duringContent;
    if (misdeed !== undefined && this.#contentBytes >= misdeed.afterBytes) this.#perform(misdeed.step);
  }

  #takeChunkOrLine(): boolean {
    if (this.#chunkLeft < 0) return this.#takeLine();
    if (this.#buffered.length < this.#chunkLeft) return false;
    const content = this.#buffered.subarray(0, this.#chunkLeft);
    this.#buffered = this.#buffered.subarray(this.#chunkLeft);
    this.#chunkLeft = -1;
    if (this.#recipients.length === 0) this.#socket.write('503 5.5.1 No valid recipients\r\n');
    else this.#taken(content, { chunked: true });
    return true;
  }

  /** One chunk is the whole content here. */
  #bdat(line: string): void {
    const [, size = '0'] = /^BDAT (\d+) LAST$/.exec(line) ?? [];
    this.#chunkLeft = Number(size);
    this.#contentBytes = 0;
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
    this.#taken(Buffer.from(content, 'latin1'));
  }

  #taken(content: Buffer, how: { readonly chunked?: true } = {}): void {
    const lines = this.#lmtp ? this.#recipients : [''];
    const said = lines.map((line) => this.#answer('content', line, '250 2.0.0 Ok: queued\r\n')).at(-1);
    const clientName = this.#clientName();
    this.#mx.transactions.push({
      connection: this.#connection,
      sender: this.#sender,
      recipients: this.#recipients,
      content: Buffer.from(content),
      accepted: typeof said === 'string' && said.startsWith('2'),
      encrypted: this.#encrypted,
      ...how,
      ...(clientName === undefined ? {} : { clientName }),
    });
    this.#completed += 1;
    this.#recipients = [];
  }

  #clientName(): string | undefined {
    const socket = this.#socket;
    const name =
      socket instanceof TLSSocket ? (socket.getPeerCertificate().subject as { CN?: string } | undefined) : undefined;
    return name?.CN;
  }

  #command(line: string): void {
    const verb = this.#inAuth ? 'AUTH' : line.slice(0, 4).toUpperCase();
    const handler = this.#handlers[verb];
    if (handler === undefined) this.#socket.write('500 5.5.2 Unknown command\r\n');
    else handler(line);
  }

  #ehlo(line: string): void {
    const { tls, extensions = EXTENSIONS } = this.#mx.script;
    this.#lmtp = line.startsWith('LHLO');
    const offersTls = tls !== undefined && tls.mode !== 'implicit' && !this.#encrypted;
    const lines = ['mx.foreign.test', ...extensions, ...(offersTls ? ['STARTTLS'] : [])];
    const last = lines.length - 1;
    this.#answer('ehlo', line, lines.map((text, at) => `250${at === last ? ' ' : '-'}${text}\r\n`).join(''));
  }

  #starttls(line: string): void {
    const { tls } = this.#mx.script;
    const said = this.#answer('starttls', line, tls === undefined ? '502 5.5.1 No\r\n' : '220 2.0.0 Go ahead\r\n');
    if (tls !== undefined && typeof said === 'string' && said.startsWith('220')) this.#startTls(tls, () => undefined);
  }

  #auth(line: string): void {
    const said = this.#answer('auth', line, '235 2.7.0 Welcome\r\n');
    this.#inAuth = typeof said === 'string' && said.startsWith('334');
  }

  #mail(line: string): void {
    this.#sender = /<(.*)>/.exec(line)?.[1] ?? '';
    this.#answer('mail', line, '250 2.1.0 Ok\r\n');
  }

  #rcpt(line: string): void {
    const said = this.#answer('rcpt', line, '250 2.1.5 Ok\r\n');
    if (typeof said === 'string' && said.startsWith('2')) this.#recipients.push(/<(.*)>/.exec(line)?.[1] ?? '');
  }

  #rset(line: string): void {
    this.#recipients = [];
    this.#answer('rset', line, '250 2.0.0 Ok\r\n');
  }

  #quit(line: string): void {
    this.#answer('quit', line, '221 2.0.0 Bye\r\n');
    this.#socket.end();
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
    const encrypted = this.#encrypted;
    const context = { connection: this.#connection, completed: this.#completed, line, encrypted };
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
