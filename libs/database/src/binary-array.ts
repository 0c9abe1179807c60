/**
 * One-dimensional arrays in PostgreSQL's binary format, so that a commit group is one statement with a handful of
 * parameters and no text escaping (measured: half the CPU of text arrays). `pg` sends a Buffer as a binary parameter.
 *
 * Layout: int32 dimensions, int32 has-null flag, int32 element type, int32 length, int32 lower bound; then per element
 * int32 size (-1: null) and the octets.
 */
const HEADER_BYTES = 20;
const OID = { bool: 16, bytea: 17, int8: 20, int4: 23, text: 25, timestamptz: 1184, uuid: 2950, json: 114 } as const;
/** PostgreSQL counts microseconds from 2000-01-01. */
const POSTGRES_EPOCH_MS = 946_684_800_000;

function header(buffer: Buffer, oid: number, length: number): number {
  buffer.writeInt32BE(length === 0 ? 0 : 1, 0);
  buffer.writeInt32BE(1, 4);
  buffer.writeInt32BE(oid, 8);
  if (length === 0) return HEADER_BYTES;
  buffer.writeInt32BE(length, 12);
  buffer.writeInt32BE(1, 16);
  return HEADER_BYTES;
}

const EMPTY_BYTES = 12;

/** Elements of one fixed size; `put` writes one that is not null. */
function fixed<T>(
  oid: number,
  size: number,
  values: readonly (T | null)[],
  put: (buffer: Buffer, value: T, at: number) => void,
): Buffer {
  const buffer = Buffer.allocUnsafe(HEADER_BYTES + values.length * (4 + size));
  let at = header(buffer, oid, values.length);
  for (const value of values) {
    if (value === null) {
      at = buffer.writeInt32BE(-1, at);
      continue;
    }
    at = buffer.writeInt32BE(size, at);
    put(buffer, value, at);
    at += size;
  }
  return buffer.subarray(0, values.length === 0 ? EMPTY_BYTES : at);
}

/** Elements of varying size. */
function varying(oid: number, values: readonly (string | Uint8Array | null)[]): Buffer {
  let total = HEADER_BYTES;
  for (const value of values) total += 4 + (value === null ? 0 : octets(value));
  const buffer = Buffer.allocUnsafe(total);
  let at = header(buffer, oid, values.length);
  for (const value of values) {
    if (value === null) {
      at = buffer.writeInt32BE(-1, at);
      continue;
    }
    const sizeAt = at;
    at += 4;
    if (typeof value === 'string') at += buffer.write(value, at, 'utf8');
    else {
      buffer.set(value, at);
      at += value.byteLength;
    }
    buffer.writeInt32BE(at - sizeAt - 4, sizeAt);
  }
  return buffer.subarray(0, values.length === 0 ? EMPTY_BYTES : at);
}

function octets(value: string | Uint8Array): number {
  return typeof value === 'string' ? Buffer.byteLength(value) : value.byteLength;
}

/** Throws TypeError for anything but a UUID in text form: an id that is none is a bug, not bad data. */
export function uuidArray(values: readonly (string | null)[]): Buffer {
  return fixed(OID.uuid, 16, values, putUuid);
}

/** By hand: a third of what Buffer's own hex reader takes with the dashes cut out (measured 2026-11). */
function putUuid(buffer: Buffer, value: string, at: number): void {
  let next = at;
  let wrong = value.length === 36 ? 0 : -1;
  for (let digit = 0; digit < 36; digit += 2) {
    if (digit === 8 || digit === 13 || digit === 18 || digit === 23) {
      wrong |= value.charCodeAt(digit) === DASH ? 0 : -1;
      digit += 1;
    }
    const high = NIBBLE[value.charCodeAt(digit)] ?? -1;
    const low = NIBBLE[value.charCodeAt(digit + 1)] ?? -1;
    wrong |= high | low;
    buffer[next++] = (high << 4) | low;
  }
  if (wrong < 0) throw new TypeError(`\`${value}\` is no UUID`);
}

const DASH = 45;
/** By character code: the value of a hex digit, -1 for anything else. */
const NIBBLE = Int8Array.from({ length: 128 }, (_, code) =>
  '0123456789abcdef'.indexOf(String.fromCharCode(code).toLowerCase()),
);

export function textArray(values: readonly (string | null)[]): Buffer {
  return varying(OID.text, values);
}

export function byteaArray(values: readonly (Uint8Array | null)[]): Buffer {
  return varying(OID.bytea, values);
}

/** Elements are JSON text. */
export function jsonArray(values: readonly string[]): Buffer {
  return varying(OID.json, values);
}

export function boolArray(values: readonly boolean[]): Buffer {
  return fixed(OID.bool, 1, values, (buffer, value, at) => buffer.writeUInt8(value ? 1 : 0, at));
}

export function int4Array(values: readonly (number | null)[]): Buffer {
  return fixed(OID.int4, 4, values, (buffer, value, at) => buffer.writeInt32BE(value, at));
}

export function int8Array(values: readonly number[]): Buffer {
  return fixed(OID.int8, 8, values, (buffer, value, at) => buffer.writeBigInt64BE(BigInt(value), at));
}

/** Elements are milliseconds since the Unix epoch. */
export function timestamptzArray(values: readonly (number | null)[]): Buffer {
  return fixed(OID.timestamptz, 8, values, (buffer, value, at) =>
    buffer.writeBigInt64BE(BigInt(Math.round((value - POSTGRES_EPOCH_MS) * 1000)), at),
  );
}
