/**
 * `KEY=value KEY …`: the grammar of what stands behind the paths of MAIL and RCPT. RFC 5321 s4.1.2; RFC 6531 s3.3 for
 * values in UTF-8. What the keywords mean is in `envelope-params.ts`.
 *
 * Order is kept and a keyword given twice is refused: two readers of one line must not pick different values.
 */
import type { ReplyKey } from './reply-catalogue.js';

export interface EsmtpParam {
  /** Upper case. */
  readonly keyword: string;
  readonly value: string | undefined;
}

export type ParamsResult<Params> =
  { readonly ok: true; readonly params: Params } | { readonly ok: false; readonly fault: ReplyKey };

const PARAM = /^([A-Za-z0-9][A-Za-z0-9-]*)(?:=([!-<>-~\u0080-\u{10ffff}]+))?$/u;

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
