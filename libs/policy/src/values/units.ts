/** Durations, sizes, dates and times of day as a person writes them. Units are required. */

const DURATION_MS: Readonly<Record<string, number>> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};
const SIZE_BYTES: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1000,
  MB: 1000 ** 2,
  GB: 1000 ** 3,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
};

export const DURATION_PATTERN = /^(\d{1,9})(s|m|h|d|w)$/;
export const SIZE_PATTERN = /^(\d{1,12})(B|kB|MB|GB|KiB|MiB|GiB)$/;
export const TIME_OF_DAY_PATTERN = /^(?:[01]\d|2[0-3]):[0-5]\d$/;
export const DATE_PATTERN = /^\d{4}-\d{2}-\d{2}$/;
const INSTANT_PATTERN = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:[Zz]|[+-]\d{2}:\d{2})$/;

function scaled(match: RegExpExecArray | null, units: Readonly<Record<string, number>>): number | undefined {
  if (match === null) return undefined;
  const unit = units[match[2] ?? ''];
  return unit === undefined ? undefined : Number(match[1]) * unit;
}

/** `90s`, `5m`, `4h`, `14d`, `2w` in milliseconds. */
export function parseDurationMs(text: string): number | undefined {
  return scaled(DURATION_PATTERN.exec(text), DURATION_MS);
}

/** `5 minutes`, `36 hours`: in the largest unit that leaves no rest. */
export function durationInWords(ms: number): string {
  const units: readonly (readonly [word: string, ms: number])[] = [
    ['day', 86_400_000],
    ['hour', 3_600_000],
    ['minute', 60_000],
    ['second', 1000],
  ];
  const [word, unitMs] = units.find(([, each]) => ms >= each && ms % each === 0) ?? ['second', 1000];
  const count = Math.ceil(ms / unitMs);
  return `${String(count)} ${word}${count === 1 ? '' : 's'}`;
}

/** `20MB` (powers of 1000), `20MiB` (powers of 1024) in octets. */
export function parseSizeBytes(text: string): number | undefined {
  return scaled(SIZE_PATTERN.exec(text), SIZE_BYTES);
}

/** `22:00` in minutes after midnight. */
export function parseTimeOfDay(text: string): number | undefined {
  return TIME_OF_DAY_PATTERN.test(text) ? Number(text.slice(0, 2)) * 60 + Number(text.slice(3)) : undefined;
}

/** A calendar date: the millisecond at which the day is over, in UTC. Impossible dates are refused. */
export function parseDateEndMs(text: string): number | undefined {
  if (!DATE_PATTERN.test(text)) return undefined;
  const startMs = Date.parse(`${text}T00:00:00Z`);
  if (Number.isNaN(startMs) || new Date(startMs).toISOString().slice(0, 10) !== text) return undefined;
  return startMs + 86_400_000;
}

/** RFC 3339 with seconds and zone, in milliseconds since the epoch. */
export function parseInstantMs(text: string): number | undefined {
  if (!INSTANT_PATTERN.test(text)) return undefined;
  const ms = Date.parse(text.toUpperCase());
  return Number.isNaN(ms) ? undefined : ms;
}

/** Tells the time of day in a zone, `22:05`. A zone that does not exist throws `RangeError`. */
export function clockOf(zone: string): Intl.DateTimeFormat {
  return new Intl.DateTimeFormat('en-GB', { timeZone: zone, hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
}
