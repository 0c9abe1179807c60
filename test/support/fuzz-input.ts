/**
 * Input for the parsers: a corpus of octets that once mattered, in test/fuzz, and what becomes of them by cutting,
 * repeating, mixing and changing. An input that broke a parser is added to its file.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';

const FOLDER = path.resolve(import.meta.dirname, '../fuzz');
/** Above it a parser would be tried for its patience, not for its grammar; see `long`. */
const MAX_OCTETS = 20_000;

/** The lines of `test/fuzz/NAME.txt`: JSON strings of one character per octet; `#` begins a remark. */
export function readCorpus(name: string): readonly Buffer[] {
  const lines = readFileSync(path.join(FOLDER, `${name}.txt`), 'utf8').split('\n');
  const entries = lines.filter((line) => line !== '' && !line.startsWith('#'));
  return entries.map((line) => Buffer.from(JSON.parse(line) as string, 'latin1'));
}

type Change = (octets: Buffer) => Buffer;

const interesting = fc.constantFrom(
  '\0', '\r', '\n', '\r\n', '.', '"', '\\', '<', '>', '(', ')', '@', ',', ';', ':', '=', '+', '%', '[', ']', ' ', '\t', '\x7f', '\x80',
  '\xff', '\xc3\xbc', '\xc3', '\xed\xa0\x80', '\xe2\x80\xae', '\xf4\x90\x80\x80', '--', '0', '9999999999999999',
); // prettier-ignore

function changesOf(corpus: readonly Buffer[]): fc.Arbitrary<Change> {
  const place = fc.nat({ max: MAX_OCTETS });
  const edges = fc.tuple(place, place);
  return fc.oneof(
    fc.tuple(place, interesting).map(([at, text]): Change => {
      return (octets) => splice(octets, at, Buffer.from(text, 'latin1'));
    }),
    fc.tuple(place, fc.integer({ min: 0, max: 255 })).map(([at, octet]): Change => {
      return (octets) => (octets.length === 0 ? octets : splice(octets, at % octets.length, Buffer.from([octet]), 1));
    }),
    edges.map(
      ([a, b]): Change =>
        (octets) =>
          without(octets, a, b),
    ),
    fc.tuple(edges, fc.integer({ min: 2, max: 400 })).map(([[a, b], times]): Change => {
      return (octets) => repeated(octets, [a, b], times);
    }),
    fc.tuple(place, fc.constantFrom(...corpus)).map(
      ([at, other]): Change =>
        (octets) =>
          splice(octets, at, other),
    ),
  );
}

/** Octets for the parser of this name. */
export function fuzzed(name: string): fc.Arbitrary<Buffer> {
  const corpus = readCorpus(name);
  return fc.oneof(
    { weight: 1, arbitrary: fc.constantFrom(...corpus) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 200 }).map((octets) => Buffer.from(octets)) },
    {
      weight: 8,
      arbitrary: fc
        .tuple(fc.constantFrom(...corpus), fc.array(changesOf(corpus), { minLength: 1, maxLength: 6 }))
        .map(([octets, changes]) => changes.reduce((changed, change) => change(changed), octets)),
    },
  );
}

/** Each entry of the corpus over and over, to the length that is asked for. */
export function long(name: string, octets: number): readonly Buffer[] {
  return readCorpus(name).map((entry) => Buffer.alloc(octets, entry.length === 0 ? ' ' : entry));
}

function splice(octets: Buffer, at: number, inserted: Buffer, dropped = 0): Buffer {
  const from = at % (octets.length + 1);
  return Buffer.concat([octets.subarray(0, from), inserted, octets.subarray(from + dropped)]).subarray(0, MAX_OCTETS);
}

function range(octets: Buffer, a: number, b: number): readonly [from: number, to: number] {
  const [one, other] = [a % (octets.length + 1), b % (octets.length + 1)];
  return one < other ? [one, other] : [other, one];
}

function without(octets: Buffer, a: number, b: number): Buffer {
  const [from, to] = range(octets, a, b);
  return Buffer.concat([octets.subarray(0, from), octets.subarray(to)]);
}

function repeated(octets: Buffer, [a, b]: readonly [number, number], times: number): Buffer {
  const [from, to] = range(octets, a, b);
  const many = Array.from({ length: times }, () => octets.subarray(from, to));
  return Buffer.concat([octets.subarray(0, from), ...many, octets.subarray(to)]).subarray(0, MAX_OCTETS);
}
