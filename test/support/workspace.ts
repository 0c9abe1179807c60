/** A temporary folder and everything started for one spec; all of it is gone after `close`, whatever failed before. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export class Workspace {
  /** Others may pass through: foreign servers run under accounts of their own. The path is short: sockets live below. */
  readonly folder: string;
  readonly #closers: (() => unknown)[] = [];

  constructor(name: string) {
    this.folder = mkdtempSync(join(tmpdir(), `${name}-`));
    chmodSync(this.folder, 0o755);
    this.#closers.push(() => {
      rmSync(this.folder, { recursive: true, force: true });
    });
  }

  path(...parts: readonly string[]): string {
    return join(this.folder, ...parts);
  }

  makeFolder(name: string): string {
    mkdirSync(this.path(name), { recursive: true });
    return this.path(name);
  }

  /** Stops it at the end, last started first. */
  use<T extends { stop(): Promise<unknown> }>(started: T): T {
    this.#closers.push(() => started.stop());
    return started;
  }

  async close(): Promise<void> {
    const errors: unknown[] = [];
    for (const closer of this.#closers.splice(0).reverse()) {
      try {
        await closer();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw new AggregateError(errors, `closing ${this.folder}: ${errors.map(String).join('; ')}`);
  }
}
