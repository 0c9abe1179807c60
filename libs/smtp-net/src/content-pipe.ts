/**
 * The content of one transaction on its way to the sink that the hooks gave for it. A sink that fails costs its message:
 * the rest of the content is read and thrown away, so that it is never taken for commands.
 */
import type { ContentSink, MaybePromise } from './hooks.js';

export class ContentPipe {
  #sink: ContentSink | undefined;
  #hasFailed = false;

  open(sink: ContentSink): void {
    this.#sink = sink;
    this.#hasFailed = false;
  }

  write(bytes: Uint8Array): MaybePromise<void> {
    return this.#sink?.write(bytes);
  }

  /** All content was given; false when the sink does not have it. */
  complete(): boolean {
    const isComplete = !this.#hasFailed;
    this.#sink = undefined;
    this.#hasFailed = false;
    return isComplete;
  }

  /** The sink has thrown; it is told to let go. */
  fail(): void {
    this.#hasFailed = true;
    this.abort();
  }

  abort(): void {
    const sink = this.#sink;
    this.#sink = undefined;
    sink?.abort();
  }
}
