/**
 * The account: every message has a number, and everything that is known of it is written down here — what the client
 * was told, what reached the next hop, and when something was killed.
 */
import { createHash } from 'node:crypto';

export interface Arrival {
  readonly number: number;
  readonly atMs: number;
  readonly sha256: string;
  /** Whether the next hop said 250; without it the sender cannot know, and must send again. */
  readonly answered: boolean;
}

export interface Killing {
  readonly what: string;
  readonly fromMs: number;
  /** When it answered again. */
  toMs: number;
}

export interface Account {
  readonly sent: number;
  readonly acknowledged: number;
  readonly arrived: number;
  readonly bounced: number;
  readonly duplicates: number;
  /** Numbers of messages that were acknowledged, and are nowhere. */
  readonly lost: readonly number[];
  readonly altered: readonly number[];
  /** Arrived twice, and nothing was killed or cut in between. */
  readonly unexplained: readonly number[];
}

/** Of an arrival and a kill: outcomes are committed shortly after the next hop's answer. */
const MARGIN_MS = 5_000;

export class Ledger {
  readonly #sent = new Map<number, string>();
  readonly #acknowledged = new Set<number>();
  readonly #arrivals = new Map<number, Arrival[]>();
  readonly #bounced = new Set<number>();
  readonly killings: Killing[] = [];
  #last = 0;

  /** A new number, and the message that carries it. */
  write(sizeBytes: number): { number: number; content: Buffer } {
    const number = (this.#last += 1);
    const line = `${'0123456789abcdef'.repeat(4)}\r\n.dot\r\n`;
    const filler = line.repeat(Math.ceil(sizeBytes / line.length));
    const content = Buffer.from(`Subject: number ${number}.\r\n\r\n${filler}end ${number}\r\n`, 'latin1');
    this.#sent.set(number, sha256(content));
    return { number, content };
  }

  acknowledge(number: number): void {
    this.#acknowledged.add(number);
  }

  get acknowledged(): number {
    return this.#acknowledged.size;
  }

  /** A message as the next hop got it: trace headers stand before ours. */
  arrive(content: Buffer, answered: boolean): void {
    const start = content.indexOf('Subject: number ');
    const number = numberIn(content);
    if (number === undefined) return;
    const arrival = { number, atMs: Date.now(), sha256: sha256(content.subarray(start)), answered };
    this.#arrivals.set(number, [...(this.#arrivals.get(number) ?? []), arrival]);
  }

  bounce(content: Buffer): void {
    const number = numberIn(content);
    if (number !== undefined) this.#bounced.add(number);
  }

  killed(what: string): Killing {
    const killing = { what, fromMs: Date.now(), toMs: Infinity };
    this.killings.push(killing);
    return killing;
  }

  /** Numbers acknowledged, and neither with the next hop nor bounced. */
  missing(): number[] {
    return [...this.#acknowledged].filter((number) => !this.#hasArrived(number) && !this.#bounced.has(number));
  }

  numbersArrived(): ReadonlySet<number> {
    return new Set(this.#arrivals.keys());
  }

  numbersAcknowledged(): ReadonlySet<number> {
    return this.#acknowledged;
  }

  account(): Account {
    const all = [...this.#arrivals.entries()];
    const twice = all.filter(([, arrivals]) => arrivals.length > 1);
    return {
      sent: this.#sent.size,
      acknowledged: this.#acknowledged.size,
      arrived: all.filter(([number]) => this.#hasArrived(number)).length,
      bounced: this.#bounced.size,
      duplicates: twice.length,
      lost: this.missing(),
      altered: all.flatMap(([number, arrivals]) =>
        arrivals.some((arrival) => arrival.sha256 !== this.#sent.get(number)) ? [number] : [],
      ),
      unexplained: twice.flatMap(([number, arrivals]) => (this.#isExplained(arrivals) ? [] : [number])),
    };
  }

  #hasArrived(number: number): boolean {
    return this.#arrivals.get(number)?.some(({ answered }) => answered) === true;
  }

  /** Between each arrival and the next something was killed, or the earlier one was not answered. */
  #isExplained(arrivals: readonly Arrival[]): boolean {
    return arrivals.slice(1).every((later, index) => {
      const earlier = arrivals[index];
      if (earlier?.answered !== true) return true;
      return this.killings.some(
        ({ fromMs }) => fromMs > earlier.atMs - MARGIN_MS && fromMs < Math.max(later.atMs, earlier.atMs + MARGIN_MS),
      );
    });
  }
}

function numberIn(content: Buffer): number | undefined {
  const found = /^Subject: number (\d+)\./m.exec(content.toString('latin1'));
  return found === null ? undefined : Number(found[1]);
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
