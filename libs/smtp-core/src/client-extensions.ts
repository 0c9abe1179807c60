/** What a server offers in its EHLO reply. RFC 5321 s4.1.1.1; keywords are compared without case, unknown ones kept by name. */
import type { Reply } from './reply.js';

export interface ClientExtensions {
  readonly pipelining: boolean;
  /** RFC 1870: SIZE is offered, so MAIL may carry the size. */
  readonly size: boolean;
  /** Largest message the server takes; absent when it states none. */
  readonly sizeBytes?: number;
  readonly eightBitMime: boolean;
  readonly smtpUtf8: boolean;
  readonly enhancedStatusCodes: boolean;
  readonly startTls: boolean;
  readonly chunking: boolean;
  readonly dsn: boolean;
  /** SASL mechanisms, upper case, in the server's order. RFC 4954 s3. */
  readonly authMechanisms: readonly string[];
  /** Every keyword offered, upper case. */
  readonly keywords: ReadonlySet<string>;
}

const KEYWORD = /^[A-Za-z0-9][A-Za-z0-9-]*$/;
const SIZE_VALUE = /^\d{1,15}$/;

export const NO_EXTENSIONS: ClientExtensions = fromKeywords(new Set(), undefined, []);

/** The first line is the server's greeting; a line that is no keyword is passed over, as RFC 5321 s4.1.1.1 wants of clients. */
export function parseExtensions(reply: Reply): ClientExtensions {
  const keywords = new Set<string>();
  const mechanisms = new Set<string>();
  let sizeBytes: number | undefined;
  for (const line of reply.lines.slice(1)) {
    const [keyword = '', parameter] = line.trim().split(/[ =]/, 2);
    if (!KEYWORD.test(keyword)) continue;
    keywords.add(keyword.toUpperCase());
    if (keyword.toUpperCase() === 'SIZE' && parameter !== undefined && SIZE_VALUE.test(parameter)) {
      sizeBytes = Number(parameter);
    }
    // Some servers write `AUTH=` for the sake of clients older than RFC 2554.
    if (keyword.toUpperCase() === 'AUTH') {
      for (const name of line.trim().split(/[ =]+/).slice(1)) mechanisms.add(name.toUpperCase());
    }
  }
  return fromKeywords(keywords, sizeBytes, [...mechanisms]);
}

function fromKeywords(
  keywords: ReadonlySet<string>,
  sizeBytes: number | undefined,
  authMechanisms: readonly string[],
): ClientExtensions {
  return {
    pipelining: keywords.has('PIPELINING'),
    size: keywords.has('SIZE'),
    // RFC 1870 s3: zero means that no fixed maximum is in force.
    ...(sizeBytes === undefined || sizeBytes === 0 ? {} : { sizeBytes }),
    eightBitMime: keywords.has('8BITMIME'),
    smtpUtf8: keywords.has('SMTPUTF8'),
    enhancedStatusCodes: keywords.has('ENHANCEDSTATUSCODES'),
    startTls: keywords.has('STARTTLS'),
    chunking: keywords.has('CHUNKING'),
    dsn: keywords.has('DSN'),
    authMechanisms,
    keywords,
  };
}
