/**
 * The server machine and the client machine wired to each other: what one writes the other reads, cut as told. No
 * sockets, no waiting; TLS is two words.
 */
import { ContentEncoder, SmtpClientSession, SmtpServerSession, encodeReply } from '#smtp-core';
import type {
  Answer,
  AuthAnswer,
  ClientOutput,
  ClientSessionOptions,
  ClientTransaction,
  ForwardPath,
  MailParams,
  Question,
  RcptParams,
  RecipientResult,
  ReversePath,
  SessionOptions,
  SessionOutput,
  TlsFacts,
} from '#smtp-core';

export interface SentMessage extends ClientTransaction {
  readonly content: Buffer;
}

/** A message as the server's owner saw it, up to its acceptance. */
export interface ReceivedMessage {
  readonly sender: ReversePath;
  readonly params: MailParams;
  readonly recipients: readonly { readonly path: ForwardPath; readonly params: RcptParams }[];
  readonly content: Buffer;
}

export interface Wiring {
  readonly server?: Partial<SessionOptions>;
  readonly client?: Partial<ClientSessionOptions>;
  /** Sizes of the pieces octets arrive in, used round and round. */
  readonly pieces: readonly number[];
  /** The answer to a question; everything else is accepted. */
  readonly judge?: (question: Question) => Answer | undefined;
}

const TLS: TlsFacts = { version: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384' };
const SECRET = Buffer.from('\0ann\0secret');

export class BackToBack {
  readonly received: ReceivedMessage[] = [];
  readonly results: (readonly RecipientResult[])[] = [];
  readonly server: SmtpServerSession;
  readonly #client: SmtpClientSession<SentMessage>;
  readonly #wiring: Wiring;
  #toServer: Buffer = Buffer.alloc(0);
  #toClient: Buffer = Buffer.alloc(0);
  #cuts = 0;
  #open:
    { sender: ReversePath; params: MailParams; recipients: { path: ForwardPath; params: RcptParams }[] } | undefined;
  #content: Buffer[] = [];

  constructor(wiring: Wiring) {
    this.#wiring = wiring;
    this.server = new SmtpServerSession({ hostname: 'mx.test', ...wiring.server });
    this.#client = new SmtpClientSession({ heloName: 'client.test', ...wiring.client });
  }

  /** Sends all messages over one session and says goodbye. */
  run(messages: readonly SentMessage[]): void {
    this.#serverSaid(this.server.start());
    for (const message of messages) this.#clientSaid(this.#client.submit(message));
    this.#pump();
    this.#clientSaid(this.#client.quit());
    this.#pump();
  }

  #pump(): void {
    while (this.#toServer.length > 0 || this.#toClient.length > 0) {
      const up = this.#cut(this.#toServer);
      this.#toServer = this.#toServer.subarray(up.length);
      if (up.length > 0) this.#serverSaid(this.server.receive({ kind: 'bytes', bytes: up }));
      const down = this.#cut(this.#toClient);
      this.#toClient = this.#toClient.subarray(down.length);
      if (down.length > 0) this.#clientSaid(this.#client.receive({ kind: 'bytes', bytes: down }));
    }
  }

  #cut(octets: Buffer): Buffer {
    const { pieces } = this.#wiring;
    this.#cuts += 1;
    return Buffer.from(octets.subarray(0, pieces[this.#cuts % pieces.length] ?? 1));
  }

  #serverSaid(outputs: readonly SessionOutput[]): void {
    for (const output of outputs) {
      if (output.kind === 'reply')
        this.#toClient = Buffer.concat([this.#toClient, Buffer.from(encodeReply(output.reply))]);
      else if (output.kind === 'content') this.#content.push(Buffer.from(output.bytes));
      else if (output.kind === 'ask') {
        const answer = this.#answer(output.question);
        this.#serverSaid(this.server.receive({ kind: 'answer', to: output.id, answer }));
      }
    }
  }

  #answer(question: Question): Answer | AuthAnswer {
    if (question.kind === 'auth') {
      return question.response?.equals(SECRET) === true ? { effect: 'accept', identity: 'ann' } : { effect: 'refuse' };
    }
    const answer = this.#wiring.judge?.(question) ?? { effect: 'accept' };
    if (answer.effect === 'accept') this.#note(question);
    return answer;
  }

  #note(question: Question): void {
    if (question.kind === 'mail') {
      this.#open = { sender: question.reversePath, params: question.params, recipients: [] };
    } else if (question.kind === 'rcpt') {
      this.#open?.recipients.push({ path: question.forwardPath, params: question.params });
    } else if (question.kind === 'data') this.#content = [];
    else if (question.kind === 'message' && this.#open !== undefined) {
      this.received.push({ ...this.#open, content: Buffer.concat(this.#content) });
    }
  }

  #clientSaid(outputs: readonly ClientOutput<SentMessage>[]): void {
    for (const output of outputs) {
      if (output.kind === 'write') this.#toServer = Buffer.concat([this.#toServer, Buffer.from(output.text, 'utf8')]);
      else if (output.kind === 'content') this.#send(output.transaction);
      else if (output.kind === 'result') this.results.push(output.recipients);
      else if (output.kind === 'start-tls') {
        this.#serverSaid(this.server.receive({ kind: 'tls-established', tls: TLS }));
        this.#clientSaid(this.#client.receive({ kind: 'tls-established' }));
      } else if (output.kind === 'authenticate') {
        this.#clientSaid(this.#client.receive({ kind: 'auth-response', response: SECRET, mayEnd: true }));
      }
    }
  }

  #send(message: SentMessage): void {
    const encoder = new ContentEncoder();
    this.#toServer = Buffer.concat([this.#toServer, encoder.encode(message.content), encoder.end()]);
    this.#client.contentWritten(message);
  }
}
