/**
 * The beginning of an outbound session: banner, EHLO (HELO where that is refused, LHLO for LMTP), STARTTLS, AUTH. Pure:
 * a reply in, the next move out. RFC 5321 s3.1, s4.1.4; RFC 2033 s4.1; RFC 3207 s4; RFC 4954 s4.
 *
 * What was learned before TLS is forgotten after it. Where TLS is required nothing but STARTTLS is ever said without it.
 * The handshake and the secrets of SASL are the driver's; an exchange only counts when the driver said that it may end.
 */
import { decodeBase64 } from './base64.js';
import { NO_EXTENSIONS, parseExtensions } from './client-extensions.js';
import type { ClientExtensions } from './client-extensions.js';
import type { ClientFault, ClientStage } from './client-envelope.js';
import { isPositive } from './reply.js';
import type { Reply } from './reply.js';

export interface GreetingOptions {
  readonly heloName: string;
  readonly protocol?: 'smtp' | 'lmtp';
  /** STARTTLS: `opportunistic` goes on in plaintext where it is not offered or refused, `required` never does. */
  readonly startTls?: 'opportunistic' | 'required';
  /** SASL mechanisms the driver can do, best first. Absent: nobody signs in. */
  readonly authMechanisms?: readonly string[];
}

export type GreetingVerb = 'banner' | 'ehlo' | 'helo' | 'starttls' | 'auth';

export type GreetingMove =
  | { readonly kind: 'say'; readonly text: string; readonly verb: GreetingVerb }
  | { readonly kind: 'start-tls' }
  /** The driver answers with `authResponse`. `challenge` is absent at the start. */
  | { readonly kind: 'authenticate'; readonly mechanism: string; readonly challenge: Buffer | undefined }
  | { readonly kind: 'ready'; readonly extensions: ClientExtensions }
  | { readonly kind: 'failed'; readonly fault: ClientFault; readonly reply?: Reply };

/** Longest AUTH command with an initial response; longer ones wait for the first challenge. RFC 4954 s4. */
const MAX_AUTH_COMMAND = 500;
/** No mechanism here has more than three. */
const MAX_CHALLENGES = 8;

export class ClientGreeting {
  readonly #options: GreetingOptions;
  #encrypted = false;
  #plaintextBecause: string | undefined;
  #extensions: ClientExtensions = NO_EXTENSIONS;
  #mechanism = '';
  #held: string | undefined;
  #mayEnd = false;
  #challenges = 0;
  #stage: ClientStage = 'banner';

  constructor(options: GreetingOptions) {
    this.#options = options;
  }

  /** What is being done: the stage of a failure that no reply explains. */
  get stage(): ClientStage {
    return this.#stage;
  }

  /** Why an opportunistic session is not encrypted. */
  get plaintextBecause(): string | undefined {
    return this.#plaintextBecause;
  }

  take(verb: GreetingVerb, reply: Reply): GreetingMove {
    switch (verb) {
      case 'banner':
        return reply.code === 220 ? this.#hello() : this.#refused(reply);
      case 'ehlo':
        return this.#ehloAnswered(reply);
      case 'helo':
        return isPositive(reply) ? this.#greeted(NO_EXTENSIONS) : this.#refused(reply);
      case 'starttls':
        return this.#startTlsAnswered(reply);
      case 'auth':
        return this.#authAnswered(reply);
    }
  }

  tlsEstablished(): GreetingMove {
    this.#encrypted = true;
    this.#extensions = NO_EXTENSIONS;
    return this.#hello();
  }

  /** `mayEnd`: the server has proven what it must prove, and may say 235 to this. */
  authResponse(response: Buffer | undefined, mayEnd: boolean): GreetingMove {
    this.#mayEnd = mayEnd;
    const text = response?.toString('base64');
    if (this.#challenges > 0) return this.#sayAuth(`${text ?? ''}\r\n`);
    const command = `AUTH ${this.#mechanism}`;
    if (text === undefined) return this.#sayAuth(`${command}\r\n`);
    const whole = `${command} ${text === '' ? '=' : text}\r\n`;
    if (whole.length <= MAX_AUTH_COMMAND) return this.#sayAuth(whole);
    this.#held = text;
    return this.#sayAuth(`${command}\r\n`);
  }

  /** The driver will not go on: credentials that must not be sent here, or a server that could not prove itself. */
  authImpossible(message: string, enhanced = '4.7.0'): GreetingMove {
    return this.#failed('auth', enhanced, message);
  }

  #hello(): GreetingMove {
    this.#stage = 'ehlo';
    const verb = this.#options.protocol === 'lmtp' ? 'LHLO' : 'EHLO';
    return { kind: 'say', text: `${verb} ${this.#options.heloName}\r\n`, verb: 'ehlo' };
  }

  #ehloAnswered(reply: Reply): GreetingMove {
    if (isPositive(reply)) return this.#greeted(parseExtensions(reply));
    if (reply.code < 500 || this.#options.protocol === 'lmtp') return this.#refused(reply);
    return { kind: 'say', text: `HELO ${this.#options.heloName}\r\n`, verb: 'helo' };
  }

  #greeted(extensions: ClientExtensions): GreetingMove {
    this.#extensions = extensions;
    const { startTls } = this.#options;
    if (startTls === undefined || this.#encrypted) return this.#signIn();
    if (extensions.startTls) {
      this.#stage = 'tls';
      return { kind: 'say', text: 'STARTTLS\r\n', verb: 'starttls' };
    }
    this.#stage = 'tls';
    if (startTls === 'required') return this.#failed('unsupported', '4.7.4', 'the server does not offer STARTTLS');
    this.#plaintextBecause = 'the server does not offer STARTTLS';
    return this.#signIn();
  }

  #startTlsAnswered(reply: Reply): GreetingMove {
    if (reply.code === 220) return { kind: 'start-tls' };
    if (this.#options.startTls === 'required' || reply.code < 400) return this.#refused(reply);
    this.#plaintextBecause = `the server refused STARTTLS with ${String(reply.code)}`;
    return this.#signIn();
  }

  #signIn(): GreetingMove {
    const wanted = this.#options.authMechanisms;
    if (wanted === undefined) return { kind: 'ready', extensions: this.#extensions };
    this.#stage = 'auth';
    const offered = this.#extensions.authMechanisms;
    const mechanism = wanted.find((name) => offered.includes(name));
    if (mechanism === undefined) {
      const why = offered.length === 0 ? 'does not offer AUTH' : 'offers no SASL mechanism that may be used';
      return this.#failed('unsupported', '4.7.0', `the server ${why}`);
    }
    this.#mechanism = mechanism;
    return { kind: 'authenticate', mechanism, challenge: undefined };
  }

  #sayAuth(text: string): GreetingMove {
    return { kind: 'say', text, verb: 'auth' };
  }

  #authAnswered(reply: Reply): GreetingMove {
    if (reply.code === 235) {
      if (this.#mayEnd && this.#held === undefined) return { kind: 'ready', extensions: this.#extensions };
      return this.#failed('protocol', '4.5.0', 'the server ended the exchange of AUTH before it was complete');
    }
    if (reply.code !== 334) return this.#refused(reply);
    this.#challenges += 1;
    if (this.#held !== undefined) {
      const text = this.#held;
      this.#held = undefined;
      return this.#sayAuth(`${text}\r\n`);
    }
    const challenge = decodeBase64(reply.lines[0] ?? '');
    if (this.#challenges > MAX_CHALLENGES || challenge === undefined || reply.lines.length > 1) {
      return this.#failed('protocol', '4.5.0', 'the server sent a challenge that is none');
    }
    return { kind: 'authenticate', mechanism: this.#mechanism, challenge };
  }

  #refused(reply: Reply): GreetingMove {
    if (reply.code < 400) return this.#failed('protocol', '4.5.0', `unexpected reply ${String(reply.code)}`);
    return { ...this.#failed('refused', '4.5.0', 'server refused the session'), reply };
  }

  #failed(reason: ClientFault['reason'], enhanced: string, message: string): GreetingMove & { kind: 'failed' } {
    return { kind: 'failed', fault: { stage: this.#stage, reason, progress: 'none', enhanced, message } };
  }
}
