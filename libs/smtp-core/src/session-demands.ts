/**
 * What a command needs beyond its place in the order: an extension that is offered, TLS, authentication, room.
 * RFC 3207 s4; RFC 4954 s4, s6; RFC 1870 s6.1; RFC 5321 s4.1.1.11. The order is `phase-table.ts`.
 */
import type { Command, Grammar } from './command.js';
import { NO_MAIL_PARAMS, NO_RCPT_PARAMS } from './envelope-params.js';
import type { Offers } from './extensions.js';
import type { SmtpLimits } from './limits.js';
import type { ReplyKey } from './reply-catalogue.js';
import type { AuthFacts, MailParams, SessionOptions, TlsFacts } from './session-io.js';

/** What a session has agreed on so far. */
export interface SessionFacts {
  readonly options: SessionOptions;
  readonly limits: SmtpLimits;
  readonly protocol: 'SMTP' | 'ESMTP';
  readonly tls: TlsFacts | undefined;
  readonly auth: AuthFacts | undefined;
}

const NO_MECHANISMS: readonly string[] = [];
const PLAIN_GRAMMAR: Grammar = { offered: { smtpUtf8: false, dsn: false, auth: false }, utf8: false };
const GRAMMARS: readonly Grammar[] = Array.from({ length: 16 }, (_, bits) => ({
  offered: { smtpUtf8: (bits & 2) > 0, dsn: (bits & 4) > 0, auth: (bits & 8) > 0 },
  utf8: (bits & 1) > 0,
}));

/** What EHLO would be told now. */
export function offersOf({ options, tls, auth }: Omit<SessionFacts, 'limits' | 'protocol'>): Offers {
  return {
    smtpUtf8: options.smtpUtf8 !== false,
    chunking: options.chunking !== false,
    dsn: options.dsn !== false,
    startTls: options.startTls === true && tls === undefined,
    authMechanisms: auth === undefined && mayAuthenticate(options, tls) ? mechanismsOf(options) : NO_MECHANISMS,
    xclient: options.xclient === true,
  };
}

/** By what a line of this session is read now. No allocation: all of them exist already. */
export function grammarOf(
  session: SessionFacts & { readonly transaction: { readonly utf8: boolean } | undefined },
): Grammar {
  const { options, tls } = session;
  const utf8 = session.transaction?.utf8 === true ? 1 : 0;
  const smtpUtf8 = options.smtpUtf8 === false ? 0 : 2;
  const dsn = options.dsn === false ? 0 : 4;
  // A server that does AUTH takes AUTH= (RFC 4954 s5).
  const auth = options.auth !== undefined && mechanismsOf(options).length > 0 && mayAuthenticate(options, tls) ? 8 : 0;
  return GRAMMARS[utf8 + smtpUtf8 + dsn + auth] ?? PLAIN_GRAMMAR;
}

/** The reply to a command that fits its moment and still cannot be had; undefined when it can. */
export function unmetDemand(command: Command, session: SessionFacts): ReplyKey | undefined {
  switch (command.verb) {
    case 'MAIL':
      return mailDemand(command.params, session);
    case 'RCPT':
      return command.params !== NO_RCPT_PARAMS && !isEsmtp(session) ? 'unknown-parameter' : undefined;
    case 'BDAT':
      return isEsmtp(session) && session.options.chunking !== false ? undefined : 'not-implemented';
    case 'STARTTLS':
      return startTlsDemand(session);
    case 'AUTH':
      return authDemand(command.mechanism, session);
    case 'XCLIENT':
      return session.options.xclient === true ? undefined : 'not-implemented';
    default:
      return undefined;
  }
}

function mailDemand(params: MailParams, session: SessionFacts): ReplyKey | undefined {
  if (params !== NO_MAIL_PARAMS && !isEsmtp(session)) return 'unknown-parameter';
  if (session.options.authRequired === true && session.auth === undefined) return 'need-auth';
  return (params.sizeBytes ?? 0) > session.limits.maxMessageBytes ? 'message-too-big' : undefined;
}

function startTlsDemand(session: SessionFacts): ReplyKey | undefined {
  if (session.tls !== undefined) return 'tls-active';
  return isEsmtp(session) && session.options.startTls === true ? undefined : 'not-implemented';
}

function authDemand(mechanism: string, session: SessionFacts): ReplyKey | undefined {
  const mechanisms = mechanismsOf(session.options);
  if (!isEsmtp(session) || mechanisms.length === 0) return 'not-implemented';
  if (session.auth !== undefined) return 'already-authenticated';
  if (!mechanisms.includes(mechanism)) return 'unknown-mechanism';
  return mayAuthenticate(session.options, session.tls) ? undefined : 'auth-needs-tls';
}

function isEsmtp({ protocol }: SessionFacts): boolean {
  return protocol === 'ESMTP';
}

function mechanismsOf(options: SessionOptions): readonly string[] {
  return options.auth?.mechanisms ?? NO_MECHANISMS;
}

function mayAuthenticate(options: SessionOptions, tls: TlsFacts | undefined): boolean {
  return tls !== undefined || options.auth?.withoutTls === true;
}
