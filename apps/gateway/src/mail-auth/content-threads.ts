/**
 * Signatures are checked in threads of their own: RSA and hashes of megabytes never keep a session waiting, and a bug there
 * ends no gateway. Threads begin with the first check. A check that is not answered in time, or whose thread has ended, is
 * unknown; a thread that says nothing any more is replaced.
 */
import { Worker } from 'node:worker_threads';
import type { ContentResults, TextNames } from '#mail-auth';
import type { Logger } from '../log.js';
import type { MemoryBudget } from '../inbound/memory-budget.js';
import { CheckedContent, type ContentLink } from './checked-content.js';
import type { FromThread, ToThread } from './thread-messages.js';

export interface ContentThreadsOptions {
  readonly names: TextNames;
  readonly budget: Pick<MemoryBudget, 'take' | 'giveBack'>;
  readonly log: Pick<Logger, 'error' | 'warn'>;
  readonly threads?: number;
  /** From the end of the content. */
  readonly deadlineMs?: number;
  readonly maxChecks?: number;
  /** Where the thread's program is. */
  readonly program?: URL;
}

const DEADLINE_MS = 20_000;
const MAX_CHECKS = 1_000;
/** A thread that ends again and again is not begun again and again. */
const RESTART_AFTER_MS = 1_000;
const HEAP_LIMIT_MB = 256;

export class ContentThreads {
  readonly #use: ContentThreadsOptions;
  readonly #threads: (Thread | undefined)[];
  #turn = 0;
  #lastId = 0;
  #open = 0;
  #closed = false;

  constructor(use: ContentThreadsOptions) {
    this.#use = use;
    this.#threads = Array<undefined>(use.threads ?? 1).fill(undefined);
  }

  /** Checks that are under way. */
  get open(): number {
    return this.#open;
  }

  /** For one message; its content is to be written to it. */
  check(): CheckedContent {
    const { maxChecks = MAX_CHECKS, deadlineMs = DEADLINE_MS, budget } = this.#use;
    this.#lastId += 1;
    const link = this.#open < maxChecks ? this.#thread()?.link(this.#lastId) : undefined;
    const content = new CheckedContent({
      link,
      budget,
      deadlineMs,
      why: this.#open < maxChecks ? 'the thread that checks signatures is away' : 'too many messages are being checked',
      ended: () => (this.#open -= 1),
    });
    this.#open += 1;
    link?.attach(content);
    return content;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.endThreads();
  }

  /** Whatever they have is unknown; the next checks begin others. */
  async endThreads(): Promise<void> {
    await Promise.all(this.#threads.flatMap((thread) => thread?.end() ?? []));
  }

  #thread(): Thread | undefined {
    if (this.#closed) return undefined;
    this.#turn = (this.#turn + 1) % this.#threads.length;
    const known = this.#threads[this.#turn];
    if (known !== undefined && (known.lives || known.endedAtMs + RESTART_AFTER_MS > Date.now())) {
      return known.lives ? known : this.#threads.find((other) => other?.lives === true);
    }
    const thread = new Thread(this.#use);
    this.#threads[this.#turn] = thread;
    return thread;
  }
}

class Thread {
  readonly #use: ContentThreadsOptions;
  readonly #worker: Worker;
  readonly #contents = new Map<number, CheckedContent>();
  #heardAtMs = Date.now();
  endedAtMs = 0;
  lives = true;

  constructor(use: ContentThreadsOptions) {
    this.#use = use;
    this.#worker = new Worker(use.program ?? new URL('./content-thread.js', import.meta.url), {
      resourceLimits: { maxOldGenerationSizeMb: HEAP_LIMIT_MB },
    });
    this.#worker.on('message', (message: FromThread) => {
      this.#hear(message);
    });
    this.#worker.on('error', (error: unknown) => {
      use.log.error({ err: error }, 'the thread that checks signatures failed, its messages are unknown');
    });
    this.#worker.on('exit', () => {
      this.#gone();
    });
    this.#worker.unref();
  }

  link(id: number): ContentLink & { attach(content: CheckedContent): void } {
    return {
      send: (blocks, ends) => {
        const buffers = blocks.map(({ buffer }) => buffer as ArrayBuffer);
        this.#say({ kind: 'content', id, blocks, ends }, buffers);
      },
      drop: () => {
        this.#contents.delete(id);
        this.#say({ kind: 'drop', id });
      },
      late: () => {
        this.#contents.delete(id);
        this.#replaceIfSilent();
      },
      attach: (content) => {
        this.#contents.set(id, content);
      },
    };
  }

  async end(): Promise<void> {
    await this.#worker.terminate();
  }

  #say(message: ToThread, transferred: readonly ArrayBuffer[] = []): void {
    if (this.lives) this.#worker.postMessage(message, [...transferred]);
  }

  #hear(message: FromThread): void {
    this.#heardAtMs = Date.now();
    switch (message.kind) {
      case 'taken':
        this.#contents.get(message.id)?.taken(message.bytes);
        break;
      case 'question':
        void this.#use.names.txt(message.name).then((reply) => {
          this.#say({ kind: 'answer', question: message.question, reply });
        });
        break;
      case 'results':
        this.#settle(message.id, message.results);
        break;
    }
  }

  #settle(id: number, results: ContentResults): void {
    this.#contents.get(id)?.settle(results);
    this.#contents.delete(id);
  }

  /** A thread that works says something within the time that a check has. */
  #replaceIfSilent(): void {
    if (!this.lives || Date.now() - this.#heardAtMs < (this.#use.deadlineMs ?? DEADLINE_MS)) return;
    this.#use.log.error('the thread that checks signatures says nothing any more, it is ended');
    void this.#worker.terminate();
  }

  #gone(): void {
    this.lives = false;
    this.endedAtMs = Date.now();
    for (const content of this.#contents.values()) content.settle(ENDED);
    this.#contents.clear();
  }
}

const ENDED: ContentResults = { ok: false, why: 'the thread that checks signatures ended' };
