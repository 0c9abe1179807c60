/**
 * Authentication-Results: what was found out about a message, for whoever reads it after us. RFC 8601.
 *
 * What is written comes partly from strangers (domains, reasons): it is quoted, and can end neither its value nor the field.
 */
import { fieldBody, type RawField } from './header-fields.js';
import type { ArcCheck, DkimCheck, DmarcCheck, MailAuthResults, SpfCheck } from './results.js';

export const AUTHENTICATION_RESULTS = 'Authentication-Results';

/** The body of the field, in one line: `mx.example; spf=pass smtp.mailfrom=example.org; dkim=none`. */
export function formatAuthenticationResults(authservId: string, results: MailAuthResults): string {
  const { spf, dkim, dmarc, arc } = results;
  const methods = [
    ...(spf === undefined ? [] : [spfMethod(spf)]),
    ...(dkim === undefined ? [] : dkim.length === 0 ? ['dkim=none'] : dkim.map(dkimMethod)),
    ...(dmarc === undefined ? [] : [dmarcMethod(dmarc)]),
    ...(arc === undefined ? [] : [arcMethod(arc)]),
  ];
  return [authservId, ...(methods.length === 0 ? ['none'] : methods)].join('; ');
}

function spfMethod({ result, identity, domain, sender, why }: SpfCheck): string {
  const checked = identity === 'helo' ? property('smtp.helo', domain) : property('smtp.mailfrom', sender || domain);
  return `spf=${result}${reason(why)}${checked}`;
}

function dkimMethod({ result, domain, selector, identity, algorithm, signature, why }: DkimCheck): string {
  return [
    `dkim=${result}${reason(why)}`,
    property('header.d', domain),
    identity === undefined ? '' : property('header.i', identity),
    property('header.s', selector),
    algorithm === undefined ? '' : property('header.a', algorithm),
    signature === undefined ? '' : property('header.b', signature.slice(0, 8)),
  ].join('');
}

function dmarcMethod({ result, domain, policy, why }: DmarcCheck): string {
  const asked = policy === undefined ? '' : ` (p=${policy})`;
  return `dmarc=${result}${asked}${reason(why)}${property('header.from', domain)}`;
}

function arcMethod({ result, instances, why }: ArcCheck): string {
  return `arc=${result}${instances === 0 ? '' : ` (i=${String(instances)})`}${reason(why)}`;
}

const MAX_REASON_CHARS = 120;

function reason(why: string | undefined): string {
  return why === undefined || why === '' ? '' : ` reason=${quoted(why.slice(0, MAX_REASON_CHARS))}`;
}

const TOKEN = /^[A-Za-z0-9!#$%&'*+.^_`{|}~-]+$/;
/** `[ [ local-part ] "@" ] domain-name`. */
const ADDRESS = /^[A-Za-z0-9!#$%&'*+./=?^_`{|}~-]*@[A-Za-z0-9.-]+$/;

/** RFC 8601 s2.2: a value is a token, a quoted string or an address. */
function property(name: string, value: string): string {
  if (value === '') return '';
  return ` ${name}=${TOKEN.test(value) || ADDRESS.test(value) ? value : quoted(value)}`;
}

function quoted(text: string): string {
  return `"${text.replace(/[^ -~]/g, '?').replace(/["\\]/g, '\\$&')}"`;
}

/**
 * The authserv-id a field claims, lower case, without a final dot; undefined when it has none that could be read. Comments
 * before it do not hide it.
 */
export function authservIdOf(field: RawField): string | undefined {
  const rest = withoutComments(fieldBody(field));
  const quotedId = /^"((?:[^"\\]|\\.)*)"/.exec(rest)?.[1]?.replace(/\\(.)/g, '$1');
  const id = quotedId ?? /^[^\s;()"]+/.exec(rest)?.[0];
  return id?.toLowerCase().replace(/\.$/, '');
}

/** Only those before the first word; they may be nested. */
function withoutComments(text: string): string {
  let at = 0;
  let depth = 0;
  for (; at < text.length; at += 1) {
    const char = text[at] ?? '';
    if (depth > 0 && char === '\\') at += 1;
    else if (char === '(') depth += 1;
    else if (char === ')' && depth > 0) depth -= 1;
    else if (depth === 0 && !/\s/.test(char)) break;
  }
  return text.slice(at);
}

/** RFC 8601 s5: a field that came with the message and claims to be ours is forged, or of no use here any more. */
export function claimsToBeFrom(field: RawField, authservId: string): boolean {
  if (field.name !== 'authentication-results') return false;
  return authservIdOf(field) === authservId.toLowerCase().replace(/\.$/, '');
}
