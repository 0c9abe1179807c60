/** An SMTP reply as a value. RFC 5321 s4.2, enhanced codes RFC 2034 and RFC 3463. */
export interface Reply {
  /** 200 to 599. */
  readonly code: number;
  /** `class.subject.detail`, chosen where the reply is made; absent only where RFC 2034 wants none (banner, EHLO). */
  readonly enhanced?: string;
  /** At least one line, printable ASCII (UTF-8 only after SMTPUTF8), no CR or LF. */
  readonly lines: readonly string[];
}
