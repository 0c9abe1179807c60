/** The instant of an RFC 3339 text; undefined for one that does not exist, such as the 30th of February. */
export function instantOf(text: string): Date | undefined {
  const time = new Date(text);
  const [, year = '', month = '', day = ''] = /^(\d{4})-(\d\d)-(\d\d)/u.exec(text) ?? [];
  const date = new Date(Date.UTC(Number(year), Number(month) - 1, Number(day)));
  const exists = !Number.isNaN(time.getTime()) && date.getUTCDate() === Number(day);
  return exists ? time : undefined;
}
