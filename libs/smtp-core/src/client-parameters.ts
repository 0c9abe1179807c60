/**
 * What a transaction asks of a server, and the MAIL and RCPT commands that say so: SIZE (RFC 1870), BODY (RFC 6152),
 * SMTPUTF8 (RFC 6531), RET, ENVID, NOTIFY and ORCPT (RFC 3461).
 *
 * A message is never changed to make it fit: what a server cannot take is a fault, found before the first command. The
 * one thing that is translated is a domain in UTF-8, which has an ASCII form of its own (A-labels).
 */
import type { ClientExtensions } from './client-extensions.js';
import { parseDomain } from './domain.js';

/** RFC 3461 s4.1, s4.2: as the sender gave them. */
export interface RecipientParameters {
  /** NEVER alone, or some of SUCCESS, FAILURE, DELAY. */
  readonly notify?: readonly string[];
  /** `type;xtext`. */
  readonly originalRecipient?: string;
}

/** What a caller wants sent. Addresses are printed paths without angle brackets; '' is the null sender. */
export interface ClientTransaction {
  readonly sender: string;
  readonly recipients: readonly string[];
  readonly sizeBytes: number;
  /** Octets of the content exactly. Absent: not known, and BDAT is not used. */
  readonly exactBytes?: number;
  /** Content holds octets above 127, so the server must offer 8BITMIME. RFC 6152. */
  readonly body8bit: boolean;
  /** The header holds UTF-8, so the server must offer SMTPUTF8, as it must for addresses that are not ASCII. */
  readonly smtpUtf8?: boolean;
  /** Left away where the server does not offer DSN, like the two that follow. */
  readonly ret?: 'FULL' | 'HDRS';
  /** xtext. */
  readonly envelopeId?: string;
  /** In the order of `recipients`. */
  readonly recipientParameters?: readonly RecipientParameters[];
}

/** `permanent` code, and why in words. */
export interface Unsupported {
  readonly enhanced: string;
  readonly message: string;
}

const CONTROL = /[\u0000-\u001f\u007f]/;
const NOT_ASCII = /[^\u0000-\u007f]/;
/** A parameter's value ends at the next space; whatever else stands in it is the server's to judge. */
const VALUE = /^[!-~]+$/;

/** Why a transaction cannot be offered to this server at all. */
export function unsupportedBy(extensions: ClientExtensions, transaction: ClientTransaction): Unsupported | undefined {
  const addresses = [transaction.sender, ...transaction.recipients];
  if (addresses.some((address) => CONTROL.test(address))) {
    return { enhanced: '5.1.3', message: 'an address holds a control character' };
  }
  if (transaction.body8bit && !extensions.eightBitMime) {
    return { enhanced: '5.6.3', message: 'message holds 8-bit octets and the server does not offer 8BITMIME' };
  }
  if (extensions.sizeBytes !== undefined && transaction.sizeBytes > extensions.sizeBytes) {
    const sizes = `${transaction.sizeBytes} octets, the server takes at most ${extensions.sizeBytes}`;
    return { enhanced: '5.3.4', message: `message is too big: ${sizes}` };
  }
  if (extensions.smtpUtf8) return undefined;
  if (transaction.smtpUtf8 === true) {
    return { enhanced: '5.6.7', message: 'the header is not ASCII and the server does not offer SMTPUTF8' };
  }
  if (addresses.some((address) => asciiForm(address) === undefined)) {
    return { enhanced: '5.6.7', message: 'an address is not ASCII and the server does not offer SMTPUTF8' };
  }
  return undefined;
}

/** Above it the search for dots costs more than one more command. */
const SMALL_BYTES = 65_536;

/** RFC 3030: for what is 8-bit or large the octets go as they are; what is small and plain goes by DATA, as everywhere. */
export function wantsChunks({ body8bit, exactBytes }: ClientTransaction): boolean {
  return exactBytes !== undefined && (body8bit || exactBytes > SMALL_BYTES);
}

export function mailCommand(transaction: ClientTransaction, extensions: ClientExtensions): string {
  const { ret, envelopeId } = transaction;
  return [
    `MAIL FROM:<${addressFor(transaction.sender, extensions)}>`,
    extensions.size ? ` SIZE=${transaction.sizeBytes}` : '',
    extensions.eightBitMime && transaction.body8bit ? ' BODY=8BITMIME' : '',
    extensions.smtpUtf8 && needsUtf8(transaction) ? ' SMTPUTF8' : '',
    extensions.dsn && ret !== undefined ? ` RET=${ret}` : '',
    extensions.dsn && envelopeId !== undefined && VALUE.test(envelopeId) ? ` ENVID=${envelopeId}` : '',
    '\r\n',
  ].join('');
}

export function rcptCommand(transaction: ClientTransaction, index: number, extensions: ClientExtensions): string {
  const path = `RCPT TO:<${addressFor(transaction.recipients[index] ?? '', extensions)}>`;
  const { notify, originalRecipient } = transaction.recipientParameters?.[index] ?? {};
  if (!extensions.dsn || (notify === undefined && originalRecipient === undefined)) return `${path}\r\n`;
  const words = notify?.join(',');
  const wanted = words !== undefined && VALUE.test(words) ? ` NOTIFY=${words}` : '';
  const original =
    originalRecipient !== undefined && VALUE.test(originalRecipient) ? ` ORCPT=${originalRecipient}` : '';
  return `${path}${wanted}${original}\r\n`;
}

function needsUtf8(transaction: ClientTransaction): boolean {
  if (transaction.smtpUtf8 === true || NOT_ASCII.test(transaction.sender)) return true;
  return transaction.recipients.some((address) => NOT_ASCII.test(address));
}

/** The address without UTF-8: with its domain as A-labels; undefined when the local part needs UTF-8. */
function asciiForm(address: string): string | undefined {
  if (!NOT_ASCII.test(address)) return address;
  const at = address.lastIndexOf('@');
  const localPart = address.slice(0, at);
  const domain = at < 0 || NOT_ASCII.test(localPart) ? undefined : parseDomain(address.slice(at + 1));
  return domain === undefined ? undefined : `${localPart}@${domain}`;
}

/** INVARIANT (one line): an address never carries a control character, so it cannot end its command. */
function addressFor(address: string, extensions: ClientExtensions): string {
  if (CONTROL.test(address)) throw new RangeError('address holds a control character, expected a printed path');
  return extensions.smtpUtf8 ? address : (asciiForm(address) ?? address);
}
