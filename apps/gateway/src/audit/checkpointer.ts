/**
 * Signs the heads of the audit's chains each minute and at the stop. What is signed is this process's memory of what it
 * committed; the checkpoint goes to the database and to a file beside it, so that who owns only one of them is found out.
 */
import { createHash } from 'node:crypto';
import { open, type FileHandle } from 'node:fs/promises';
import { checkpointText, nextCheckpoint, readCheckpoint, type CheckpointBody, type SignedCheckpoint } from '#audit';
import type { Database } from '#database';
import type { Logger } from '../log.js';
import type { SigningKey } from './signing-key.js';

const INTERVAL_MS = 60_000;
/** Of the file, enough for the last checkpoint of each node that shares it. */
const TAIL_BYTES = 262_144;

export interface CheckpointerOptions {
  readonly checkpoints: Pick<Database['audit']['checkpoints'], 'heads' | 'last' | 'store'>;
  readonly node: string;
  readonly key: SigningKey;
  /** Lines of JSON: { body, signature }. */
  readonly file: string;
  readonly nowMs: () => number;
  readonly log: Logger;
}

interface Made {
  readonly checkpoint: SignedCheckpoint;
  readonly body: CheckpointBody;
}

export class Checkpointer {
  readonly #options: CheckpointerOptions;
  #last: CheckpointBody | undefined;
  #lastHash = '';
  /** Signed, but not known to be stored: its place is taken, whatever became of it. */
  #pending: Made | undefined;
  #signed = new Map<string, number>();
  /** What a predecessor left behind was seen. */
  #begun = false;
  #timer: NodeJS.Timeout | undefined;
  #making: Promise<void> | undefined;

  constructor(options: CheckpointerOptions) {
    this.#options = options;
  }

  /** Continues where the last process of this name stopped, and signs what it left behind. */
  async start(): Promise<void> {
    const { checkpoints, file, node } = this.#options;
    const stored = await checkpoints.last(node);
    const kept = await lastKept(file, node);
    const storedBody = stored === undefined ? undefined : readCheckpoint(stored.body);
    if (kept !== undefined && kept.sequence > (storedBody?.sequence ?? 0)) {
      this.#options.log.error(
        { kept: kept.sequence, stored: storedBody?.sequence },
        'checkpoints of the audit are gone',
      );
      this.#remember(kept, checkpointText(kept));
    } else if (storedBody !== undefined) this.#remember(storedBody, stored?.body ?? '');
    this.#timer = setInterval(() => void this.make(), INTERVAL_MS);
    this.#timer.unref();
    await this.make();
  }

  /** Signs what is new; a failure is told and made up for by the next one. */
  async make(): Promise<void> {
    this.#making ??= this.#make()
      .catch((error: unknown) => this.#options.log.warn({ err: error }, 'no checkpoint of the audit, trying again'))
      .finally(() => {
        this.#making = undefined;
      });
    await this.#making;
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#making;
    await this.make();
  }

  async #make(): Promise<void> {
    if (this.#pending !== undefined) await this.#store(this.#pending);
    const { checkpoints, key, node, nowMs } = this.#options;
    const atMs = nowMs();
    const predecessors = !this.#begun;
    const heads = await checkpoints.heads({ node, sinceMs: this.#last?.atMs ?? 0, predecessors });
    this.#begun = true;
    const grown = heads.filter(({ chain, sequence }) => sequence > (this.#signed.get(chain) ?? 0));
    if (grown.length === 0) return;
    const last = this.#last === undefined ? undefined : { sequence: this.#last.sequence, hash: this.#lastHash };
    const body = { atMs, heads: grown, key: key.fingerprint, node, ...nextCheckpoint(last) };
    const text = checkpointText(body);
    await this.#store({ body, checkpoint: { body: text, signature: key.sign(text) } });
    this.#signed = new Map(heads.map(({ chain, sequence }) => [chain, sequence]));
  }

  async #store(made: Made): Promise<void> {
    this.#pending = made;
    await this.#options.checkpoints.store(made.checkpoint);
    await appendLine(this.#options.file, JSON.stringify(made.checkpoint));
    this.#pending = undefined;
    this.#remember(made.body, made.checkpoint.body);
  }

  #remember(body: CheckpointBody, text: string): void {
    this.#last = body;
    this.#lastHash = createHash('sha256').update(text).digest('hex');
  }
}

/** Durable before it returns. A line that a crash cut is ended first, so that it spoils no other. */
async function appendLine(path: string, line: string): Promise<void> {
  const file = await open(path, 'a+', 0o600);
  try {
    const { size } = await file.stat();
    const cut = size > 0 && (await readAt(file, size - 1, 1)) !== '\n';
    await file.appendFile(`${cut ? '\n' : ''}${line}\n`);
    await file.datasync();
  } finally {
    await file.close();
  }
}

async function lastKept(path: string, node: string): Promise<CheckpointBody | undefined> {
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch {
    return undefined;
  }
  try {
    const { size } = await file.stat();
    const from = Math.max(0, size - TAIL_BYTES);
    const lines = (await readAt(file, from, size - from)).split('\n');
    return lines.map(bodyOf).findLast((body) => body?.node === node);
  } finally {
    await file.close();
  }
}

function bodyOf(line: string): CheckpointBody | undefined {
  try {
    const kept = JSON.parse(line) as Partial<SignedCheckpoint> | null;
    return typeof kept?.body === 'string' ? readCheckpoint(kept.body) : undefined;
  } catch {
    return undefined;
  }
}

async function readAt(file: FileHandle, position: number, bytes: number): Promise<string> {
  const buffer = Buffer.alloc(bytes);
  const { bytesRead } = await file.read(buffer, 0, bytes, position);
  return buffer.toString('utf8', 0, bytesRead);
}
