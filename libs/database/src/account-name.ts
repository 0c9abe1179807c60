/**
 * Names of SMTP accounts. One canonical form, lower case, so that `Ann` and `ann` are one account; no character that
 * SASL, SCRAM or a URL treats specially.
 */
const NAME = /^[a-z0-9](?:[a-z0-9._+@-]{0,126}[a-z0-9])?$/;

/** The canonical form; undefined for what can be no account's name. */
export function accountName(text: string): string | undefined {
  const name = text.length > 128 ? '' : text.toLowerCase();
  return NAME.test(name) ? name : undefined;
}
