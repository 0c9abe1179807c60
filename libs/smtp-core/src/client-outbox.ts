/** What the client machine has said and not yet handed over, in order, and the replies it waits for. */
import type { ClientOutput, Expected } from './client-io.js';
import type { ClientTransaction } from './client-parameters.js';

export class ClientOutbox<T extends ClientTransaction> {
  /** Replies to come, in the order of the commands. */
  readonly expected: Expected<T>[] = [{ verb: 'banner', index: 0 }];
  #outputs: ClientOutput<T>[] = [];
  #writing = '';

  /** A command, or several that leave together. */
  command(text: string, expected: Expected<T>): void {
    this.#writing += text;
    this.expected.push(expected);
  }

  /** Text that belongs to what is emitted next and is answered with it. */
  write(text: string): void {
    this.#writing += text;
  }

  emit(output: ClientOutput<T>): void {
    this.#flush();
    this.#outputs.push(output);
  }

  /** Everything since the last time. */
  take(): readonly ClientOutput<T>[] {
    this.#flush();
    const outputs = this.#outputs;
    if (outputs.length > 0) this.#outputs = [];
    return outputs;
  }

  #flush(): void {
    if (this.#writing === '') return;
    this.#outputs.push({ kind: 'write', text: this.#writing });
    this.#writing = '';
  }
}
