/**
 * Every parser under mutated input: none throws, none hangs, none holds more than it should, and what was read prints
 * to something that is read as the same. The corpus is in test/fuzz.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { runs } from '../support/fuzz.js';
import { fuzzed, long } from '../support/fuzz-input.js';
import { PRINTING, READING, STREAMS } from '../support/parser-targets.js';

/** CPU that one parser may take for `LONG_OCTETS`: more is a hang, or will be one with the next power of two. */
const MAX_CPU_MS = 1500;
const LONG_OCTETS = 262_144;
const PIECE_OCTETS = 65_536;
const STREAM_PIECES = 48;
const MAX_HELD_OCTETS = 1.5 * 1_048_576;

function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}

function heldOctets(): number {
  collectGarbage();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

function cpuMs(work: () => unknown): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

/** What a reader keeps of a long stream, and the processor time it took. */
interface Cost {
  readonly held: number;
  readonly spentMs: number;
}

function isLittle({ held, spentMs }: Cost): boolean {
  return held < MAX_HELD_OCTETS && spentMs < MAX_CPU_MS;
}

function feed(reader: { write(octets: Buffer): void; end(): unknown }, piece: Buffer): Cost {
  const before = heldOctets();
  const spentMs = cpuMs(() => {
    for (let count = 0; count < STREAM_PIECES; count += 1) reader.write(piece);
  });
  const held = heldOctets() - before;
  reader.end();
  return { held, spentMs };
}

function sizeOf(value: unknown): number {
  return (
    (JSON.stringify(value, (_, part: unknown) => (part instanceof Map ? [...part] : part)) as string | undefined)
      ?.length ?? 0
  );
}

describe.each(PRINTING)('$name', ({ corpus, read, print }) => {
  it('what is read prints to what is read as the same', () => {
    fc.assert(
      fc.property(fuzzed(corpus), (octets) => {
        const value = read(octets);
        if (value !== undefined) expect(read(print(value))).toEqual(value);
      }),
      runs(400),
    );
  });
});

describe.each([...PRINTING, ...READING])('$name', ({ corpus, read }) => {
  it('reads or refuses, and makes no more of it than it was given', () => {
    fc.assert(
      fc.property(fuzzed(corpus), (octets) => {
        expect(sizeOf(read(octets))).toBeLessThan(16 * octets.length + 4096);
      }),
      runs(200),
    );
  });

  it('takes its time, not more, for long input', () => {
    for (const octets of long(corpus, LONG_OCTETS)) expect(cpuMs(() => read(octets))).toBeLessThan(MAX_CPU_MS);
  });
});

describe.each(STREAMS)('$name', ({ corpus, open }) => {
  it('reads the same however the octets are cut', () => {
    fc.assert(
      fc.property(fuzzed(corpus), fc.array(fc.nat({ max: 20_000 }), { maxLength: 12 }), (octets, places) => {
        const [whole, cut, single] = [open(), open(), open()];
        whole.write(octets);
        const edges = [0, ...places.map((place) => place % (octets.length + 1)).sort((a, b) => a - b), octets.length];
        for (let at = 1; at < edges.length; at += 1) cut.write(octets.subarray(edges[at - 1], edges[at]));
        if (octets.length < 500) for (const octet of octets) single.write(Buffer.from([octet]));
        else single.write(octets);
        const expected = whole.end();
        expect(cut.end()).toEqual(expected);
        expect(single.end()).toEqual(expected);
      }),
      runs(200),
    );
  });

  it('holds little, however much comes', () => {
    for (const piece of long(corpus, PIECE_OCTETS)) {
      // What other specs left in this process may be counted too, but not each time.
      let cost = feed(open(), piece);
      for (let again = 0; again < 2 && !isLittle(cost); again += 1) cost = feed(open(), piece);
      expect(cost.held).toBeLessThan(MAX_HELD_OCTETS);
      expect(cost.spentMs).toBeLessThan(MAX_CPU_MS);
    }
  });
});
