/**
 * Lines that no SMTP client means: another protocol on this port, or content where commands should be.
 *
 * A browser can be made to post SMTP commands inside an HTTP request, and a stream that is out of step holds commands
 * that were content. Neither is answered command by command: the session ends. RFC 5321 s3.8.
 *
 * Binary protocols (TLS, RDP, SMB) fail earlier, by their NULs: see `line-reader.ts`.
 */
const HTTP = /^(?:GET|HEAD|POST|PUT|DELETE|CONNECT|OPTIONS|TRACE|PATCH|PRI) /i;
const SIP_OR_RTSP = /^(?:[A-Z]{3,13} (?:sips?|rtsps?):|[A-Z_]{3,13} \S+ (?:HTTP|RTSP)\/\d|.* SIP\/2\.0$)/i;
const HEADER_FIELD = /^[!-9;-~]+:(?: |$)/;
const SSH = /^SSH-\d/;
/** `a1 LOGIN …`, `. CAPABILITY` */
const IMAP = /^[A-Za-z0-9.]{1,16} (?:CAPABILITY|LOGIN|AUTHENTICATE|STARTTLS|LOGOUT|SELECT)(?: |$)/i;
/** `*1`, `$4`: the arrays of RESP. */
const REDIS = /^[*$]\d{1,9}$/;

export function isForeign(line: string): boolean {
  return (
    HTTP.test(line) ||
    HEADER_FIELD.test(line) ||
    SSH.test(line) ||
    IMAP.test(line) ||
    REDIS.test(line) ||
    SIP_OR_RTSP.test(line)
  );
}
