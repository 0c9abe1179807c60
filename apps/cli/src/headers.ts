/** Header values are octets: UTF-8 goes through `fetch` only as Latin-1 characters. */
export function reasonHeader(reason: string | undefined): Record<string, string> {
  return reason === undefined ? {} : { Reason: Buffer.from(reason, 'utf8').toString('latin1') };
}
