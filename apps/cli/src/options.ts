import { InvalidArgumentError } from 'commander';

export function wholeNumber(text: string): number {
  if (!/^[1-9]\d{0,8}$/u.test(text)) throw new InvalidArgumentError('expected a whole number from 1');
  return Number(text);
}

/** An option that may be given several times. */
export function repeated(text: string, before: readonly string[]): readonly string[] {
  return [...before, text];
}

const UNITS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };

/** RFC 3339, a date, or how long ago: `90s`, `15m`, `2h`, `7d`, `4w`. */
export function pointInTime(text: string): string {
  const ago = /^(\d{1,6})([smhdw])$/u.exec(text);
  if (ago !== null) return new Date(Date.now() - Number(ago[1]) * (UNITS[ago[2] ?? ''] ?? 0)).toISOString();
  return timestamp(text);
}

/** RFC 3339, a date, or how long from now: `12h`, `30d`. */
export function expiry(text: string): string {
  const ahead = /^(\d{1,6})([smhdw])$/u.exec(text);
  if (ahead !== null) return new Date(Date.now() + Number(ahead[1]) * (UNITS[ahead[2] ?? ''] ?? 0)).toISOString();
  return timestamp(text);
}

function timestamp(text: string): string {
  const shaped = /^\d{4}-\d\d-\d\d([Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d:\d\d))?$/u.test(text);
  const time = Date.parse(text);
  if (shaped && !Number.isNaN(time)) return new Date(time).toISOString();
  throw new InvalidArgumentError('expected `2026-12-31`, `2026-12-31T12:00:00Z`, or a span such as `2h`, `7d`');
}
