/**
 * One number shared by everything that holds message content in memory: sessions receiving, and mail waiting for its
 * first attempt. When it is spent, new content is refused with a 4xx instead of growing the process.
 */
export class MemoryBudget {
  #usedBytes = 0;

  constructor(readonly limitBytes: number) {}

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** True when `bytes` more would still be within the limit. */
  hasRoomFor(bytes: number): boolean {
    return this.#usedBytes + bytes <= this.limitBytes;
  }

  take(bytes: number): void {
    this.#usedBytes += bytes;
  }

  giveBack(bytes: number): void {
    this.#usedBytes -= bytes;
  }
}
