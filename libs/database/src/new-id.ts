/**
 * UUIDv7 (RFC 9562 s5.7) made by the application, so that PostgreSQL 15 serves too. Strictly increasing within a process:
 * the 12 bits of rand_a count within one millisecond; when they run out, or the clock steps back, the time field
 * runs ahead of the clock instead. Ids are partition keys: their time decides the day a row is stored in.
 */
import { randomFillSync } from 'node:crypto';

const POOL_BYTES = 8 * 512;
const pool = Buffer.alloc(POOL_BYTES);
/** The same in hex: an id takes its random digits as one short slice, which keeps nothing alive. */
let poolHex = '';
let poolOffset = POOL_BYTES;
let lastMs = 0;
/** The first two groups of an id of `lastMs`, and what stands before its sequence. */
let timeText = '';
let timeTextMs = -1;
let sequence = 0;

const VARIANT = ['8', '9', 'a', 'b'];
const HEX16 = Array.from({ length: 4096 }, (_, value) => value.toString(16).padStart(3, '0'));

/** A new id in canonical lower-case text; greater than every id this process made before. */
export function newId(): string {
  return idAt(Date.now());
}

/** As newId(), with the time given: for tools that import or generate past records. Never goes back below the last id. */
function idAt(nowMs: number): string {
  if (nowMs > lastMs) {
    lastMs = nowMs;
    sequence = nextRandom() & 0x3ff;
  } else if (++sequence > 0xfff) {
    lastMs += 1;
    sequence = 0;
  }
  if (timeTextMs !== lastMs) {
    const time = lastMs.toString(16).padStart(12, '0');
    timeText = `${time.slice(0, 8)}-${time.slice(8)}-7`;
    timeTextMs = lastMs;
  }
  const at = takeRandom();
  const digits = at * 2;
  const variant = VARIANT[(pool[at] ?? 0) & 3] ?? '8';
  return `${timeText}${HEX16[sequence] ?? ''}-${variant}${poolHex.slice(digits + 1, digits + 4)}-${poolHex.slice(digits + 4, digits + 16)}`;
}

function takeRandom(): number {
  if (poolOffset >= POOL_BYTES) {
    randomFillSync(pool);
    poolHex = pool.toString('hex');
    poolOffset = 0;
  }
  const at = poolOffset;
  poolOffset += 8;
  return at;
}

function nextRandom(): number {
  const at = takeRandom();
  return ((pool[at] ?? 0) << 8) | (pool[at + 1] ?? 0);
}

/** Milliseconds since the epoch held in a UUIDv7. */
export function idTimeMs(id: string): number {
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
}

/** The smallest UUID a given millisecond can hold: the bound of ranges and partitions. */
export function idFloor(ms: number): string {
  const time = Math.max(0, Math.floor(ms)).toString(16).padStart(12, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}-0000-0000-000000000000`;
}
