/**
 * Changes the header of a message that goes out; the body is not looked at. RFC 5322 s2.2, s3.6.
 *
 * New fields stand below the first field, which is the trace of the server that makes the change: trace fields stay on
 * top and in order.
 */
export interface FieldChange {
  readonly op: 'set' | 'add' | 'remove';
  readonly name: string;
  /** Printable ASCII in one line; absent for `remove`. */
  readonly value?: string;
}

const LF = 10;
const CR = 13;
const COLON = 58;

/**
 * `head`: the beginning of the message, the end of its header included where that is possible. The result stands in place
 * of its first `fromByte` octets.
 */
export function rewriteHeader(
  head: Uint8Array,
  changes: readonly FieldChange[],
): { readonly head: Uint8Array; readonly fromByte: number } {
  const dropped = new Set(changes.filter(({ op }) => op !== 'add').map(({ name }) => name.toLowerCase()));
  const kept: Uint8Array[] = [];
  let start = 0;
  while (start < head.length && !isEmptyLine(head, start)) {
    const end = endOfField(head, start);
    if (kept.length === 0 || !dropped.has(nameAt(head, start, end))) kept.push(head.subarray(start, end));
    start = end;
  }
  const [first = new Uint8Array(), ...rest] = kept;
  return { head: concat([first, added(changes), ...rest]), fromByte: start };
}

const encoder = new TextEncoder();

function added(changes: readonly FieldChange[]): Uint8Array {
  const lines = changes.flatMap(({ op, name, value }) => {
    if (op === 'remove' || value === undefined) return [];
    // INVARIANT (one line): whatever the policy says, no value can begin another field.
    return [`${name}: ${value}`.replace(/[^ -~]/g, '?') + '\r\n'];
  });
  return encoder.encode(lines.join(''));
}

function isEmptyLine(head: Uint8Array, at: number): boolean {
  return head[at] === LF || (head[at] === CR && head[at + 1] === LF);
}

function endOfField(head: Uint8Array, start: number): number {
  let at = start;
  for (;;) {
    const lf = head.indexOf(LF, at);
    if (lf === -1) return head.length;
    at = lf + 1;
    if (head[at] !== 32 && head[at] !== 9) return at;
  }
}

function nameAt(head: Uint8Array, start: number, end: number): string {
  const colon = head.subarray(start, Math.min(end, start + 100)).indexOf(COLON);
  return colon === -1
    ? ''
    : String.fromCharCode(...head.subarray(start, start + colon))
        .trimEnd()
        .toLowerCase();
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((total, part) => total + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
