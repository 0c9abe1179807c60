/**
 * What the parameters of MAIL and RCPT say: SIZE (RFC 1870 s6), BODY (RFC 6152 s2), SMTPUTF8 (RFC 6531 s3.4), RET and
 * ENVID (RFC 3461 s4.3, s4.4), AUTH (RFC 4954 s5), NOTIFY and ORCPT (RFC 3461 s4.1, s4.2; RFC 6533 s3).
 *
 * A parameter of an extension that this session does not offer is unknown: 555.
 */
import { parseEsmtpParams } from './esmtp-params.js';
import type { EsmtpParam, ParamsResult } from './esmtp-params.js';
import type { MailParams, NotifyWord, RcptParams } from './session-io.js';
import { isAscii } from './utf8.js';
import { decodeUnitext, decodeXtext, isPrintableXtext } from './xtext.js';

/** Which extensions with parameters are in force. */
export interface OfferedParams {
  readonly smtpUtf8: boolean;
  readonly dsn: boolean;
  readonly auth: boolean;
}

type Extension = keyof OfferedParams;
type Read<Params> = (value: string | undefined) => Params | undefined;
interface Known<Params> {
  readonly of?: Extension;
  readonly read: Read<Params>;
}

/** No parameter was given; always this value, so that it can be compared. */
export const NO_MAIL_PARAMS: MailParams = {};
export const NO_RCPT_PARAMS: RcptParams = {};
const NO_MAIL: ParamsResult<MailParams> = { ok: true, params: NO_MAIL_PARAMS };
const NO_RCPT: ParamsResult<RcptParams> = { ok: true, params: NO_RCPT_PARAMS };

const SIZE_VALUE = /^\d{1,20}$/;
const ADDRESS_TYPE = /^[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?$/;
const MAX_ENVELOPE_ID = 100;
const MAX_ORIGINAL_RECIPIENT = 500;
const MAX_AUTH_PARAM = 500;
const NOTIFY_WORDS: ReadonlySet<string> = new Set<NotifyWord>(['NEVER', 'SUCCESS', 'FAILURE', 'DELAY']);

const MAIL_PARAMS: ReadonlyMap<string, Known<MailParams>> = new Map<string, Known<MailParams>>([
  ['SIZE', { read: readSize }],
  ['BODY', { read: readBody }],
  ['SMTPUTF8', { of: 'smtpUtf8', read: (value) => (value === undefined ? { smtpUtf8: true } : undefined) }],
  ['RET', { of: 'dsn', read: readRet }],
  ['ENVID', { of: 'dsn', read: readEnvelopeId }],
  ['AUTH', { of: 'auth', read: readAuthParam }],
]);
const RCPT_PARAMS: ReadonlyMap<string, Known<RcptParams>> = new Map<string, Known<RcptParams>>([
  ['NOTIFY', { of: 'dsn', read: readNotify }],
  ['ORCPT', { of: 'dsn', read: readOriginalRecipient }],
]);

/** What may stand behind the path of MAIL. Never throws. */
export function readMailParams(text: string, offered: OfferedParams): ParamsResult<MailParams> {
  return text === '' ? NO_MAIL : readKnown(parseEsmtpParams(text), MAIL_PARAMS, offered);
}

/** What may stand behind the path of RCPT. `utf8`: the transaction was begun with SMTPUTF8. Never throws. */
export function readRcptParams(text: string, offered: OfferedParams, utf8: boolean): ParamsResult<RcptParams> {
  if (text === '') return NO_RCPT;
  if (!utf8 && !isAscii(text)) return { ok: false, fault: 'bad-parameter' };
  return readKnown(parseEsmtpParams(text), RCPT_PARAMS, offered);
}

function readKnown<Params extends object>(
  parsed: ParamsResult<readonly EsmtpParam[]>,
  known: ReadonlyMap<string, Known<Params>>,
  offered: OfferedParams,
): ParamsResult<Params> {
  if (!parsed.ok) return parsed;
  let params: Partial<Params> = {};
  for (const { keyword, value } of parsed.params) {
    const param = known.get(keyword);
    if (param === undefined || (param.of !== undefined && !offered[param.of])) {
      return { ok: false, fault: 'unknown-parameter' };
    }
    const part = param.read(value);
    if (part === undefined) return { ok: false, fault: 'bad-parameter' };
    params = { ...params, ...part };
  }
  return { ok: true, params: params as Params };
}

function readSize(value = ''): MailParams | undefined {
  return SIZE_VALUE.test(value) ? { sizeBytes: Number(value) } : undefined;
}

function readBody(value = ''): MailParams | undefined {
  const body = value.toUpperCase();
  return body === '7BIT' || body === '8BITMIME' ? { body } : undefined;
}

function readRet(value = ''): MailParams | undefined {
  const ret = value.toUpperCase();
  return ret === 'FULL' || ret === 'HDRS' ? { ret } : undefined;
}

function readEnvelopeId(value = ''): MailParams | undefined {
  const fits = value !== '' && value.length <= MAX_ENVELOPE_ID && isPrintableXtext(value);
  return fits ? { envelopeId: value } : undefined;
}

function readAuthParam(value = ''): MailParams | undefined {
  if (value === '' || value.length > MAX_AUTH_PARAM) return undefined;
  return decodeXtext(value) === undefined ? undefined : { authParam: value };
}

function readNotify(value = ''): RcptParams | undefined {
  const words = value.toUpperCase().split(',');
  const known = words.every((word): word is NotifyWord => NOTIFY_WORDS.has(word));
  if (!known || new Set(words).size !== words.length) return undefined;
  return words.includes('NEVER') && words.length > 1 ? undefined : { notify: words };
}

function readOriginalRecipient(value = ''): RcptParams | undefined {
  const semicolon = value.indexOf(';');
  const type = value.slice(0, Math.max(0, semicolon));
  const address = value.slice(semicolon + 1);
  if (!ADDRESS_TYPE.test(type) || address === '' || value.length > MAX_ORIGINAL_RECIPIENT) return undefined;
  const wellFormed = type.toLowerCase() === 'utf-8' ? decodeUnitext(address) !== undefined : isPrintableXtext(address);
  return wellFormed ? { originalRecipient: value } : undefined;
}
