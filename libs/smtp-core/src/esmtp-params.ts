/**
 * The parameters behind the paths of MAIL and RCPT. RFC 5321 s4.1.2 (grammar), s4.1.1.11 (unknown: 555);
 * SIZE RFC 1870 s6, BODY RFC 6152 s2.
 *
 * Order is kept and a keyword given twice is refused: two readers of one line must not pick different values.
 */
import type { ReplyKey } from './reply-catalogue.js';
import type { MailParams } from './session-io.js';

export interface EsmtpParam {
  /** Upper case. */
  readonly keyword: string;
  readonly value: string | undefined;
}

export type ParamsResult<Params> =
  { readonly ok: true; readonly params: Params } | { readonly ok: false; readonly fault: ReplyKey };

const PARAM = /^([A-Za-z0-9][A-Za-z0-9-]*)(?:=([!-<>-~]+))?$/;
const SIZE_VALUE = /^\d{1,20}$/;
const NO_PARAMS: ParamsResult<MailParams> = { ok: true, params: {} };

/** Splits `KEY=value KEY …`. Never throws. */
export function parseEsmtpParams(text: string): ParamsResult<readonly EsmtpParam[]> {
  const params: EsmtpParam[] = [];
  for (const word of text.split(' ')) {
    if (word === '') continue;
    const match = PARAM.exec(word);
    const keyword = match?.[1]?.toUpperCase();
    if (keyword === undefined) return { ok: false, fault: 'bad-argument' };
    if (params.some((param) => param.keyword === keyword)) return { ok: false, fault: 'duplicate-parameter' };
    params.push({ keyword, value: match?.[2] });
  }
  return { ok: true, params };
}

/** `KEY=value KEY`, the inverse of `parseEsmtpParams`. */
export function printEsmtpParams(params: readonly EsmtpParam[]): string {
  return params.map(({ keyword, value }) => (value === undefined ? keyword : `${keyword}=${value}`)).join(' ');
}

/** What may stand behind the path of MAIL. */
export function readMailParams(text: string): ParamsResult<MailParams> {
  if (text === '') return NO_PARAMS;
  const parsed = parseEsmtpParams(text);
  if (!parsed.ok) return parsed;
  let params: MailParams = {};
  for (const { keyword, value } of parsed.params) {
    const read = MAIL_PARAMS.get(keyword);
    if (read === undefined) return { ok: false, fault: 'unknown-parameter' };
    const part = read(value ?? '');
    if (part === undefined) return { ok: false, fault: 'bad-parameter' };
    params = { ...params, ...part };
  }
  return { ok: true, params };
}

/** Nothing is offered for RCPT yet: any well-formed parameter is unknown. */
export function readRcptParams(text: string): ParamsResult<undefined> {
  const parsed = parseEsmtpParams(text);
  if (!parsed.ok) return parsed;
  return parsed.params.length === 0 ? { ok: true, params: undefined } : { ok: false, fault: 'unknown-parameter' };
}

const MAIL_PARAMS: ReadonlyMap<string, (value: string) => MailParams | undefined> = new Map([
  ['SIZE', readSize],
  ['BODY', readBody],
]);

function readSize(value: string): MailParams | undefined {
  return SIZE_VALUE.test(value) ? { sizeBytes: Number(value) } : undefined;
}

function readBody(value: string): MailParams | undefined {
  const body = value.toUpperCase();
  return body === '7BIT' || body === '8BITMIME' ? { body } : undefined;
}
