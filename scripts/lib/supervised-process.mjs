/**
 * One child of the supervisor: started, watched, started again after a crash, stopped within a deadline.
 *
 * It tells us over IPC when it is `ready` (again, when something changed) and when its configuration is wrong
 * (`fatal`, or exit 78): that is not mended by starting again.
 */
import { fork } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { Failure } from './failure.mjs';

const EXIT_CONFIGURATION = 78;
const FIRST_BACK_OFF_MS = 250;
const MAX_BACK_OFF_MS = 30_000;
const STABLE_MS = 60_000; // a run this long clears the memory of earlier crashes
const READY_DEADLINE_MS = 60_000;
const MAX_FAILED_FIRST_STARTS = 3;

export class SupervisedProcess {
  #child;
  #crashes = 0;
  #wasReady = false;
  #stopping = false;
  #retry;
  #spoken = 0; // octets of the log written before this run of the child

  /**
   * @param {{ name: string, file: string, logFile: string, env: NodeJS.ProcessEnv, log: (line: string) => void,
   *   onReady: (message: object) => void, onFatal: (failure: Failure) => void, onSpawn: () => void }} options
   */
  constructor(options) {
    this.options = options;
    mkdirSync(dirname(options.logFile), { recursive: true, mode: 0o700 });
  }

  get pid() {
    return this.#child?.pid;
  }

  start() {
    const { file, env, logFile, onSpawn } = this.options;
    const output = openSync(logFile, 'a', 0o600);
    this.#spoken = statSync(logFile).size;
    const startedAt = Date.now();
    // A process group of its own: Ctrl-C reaches the supervisor only, which stops its children in order.
    const child = fork(file, [], { env, detached: true, stdio: ['ignore', output, output, 'ipc'] });
    closeSync(output);
    this.#child = child;
    let fatal;
    const late = setTimeout(() => child.kill('SIGKILL'), READY_DEADLINE_MS);
    child.on('message', (message) => {
      if (message?.kind === 'fatal') fatal = String(message.message);
      if (message?.kind !== 'ready') return;
      clearTimeout(late);
      this.#wasReady = true;
      this.options.onReady(message);
    });
    child.once('error', (error) => (fatal ??= error.message));
    child.once('close', (code, signal) => {
      clearTimeout(late);
      this.#ended({ code, signal, fatal, ranMs: Date.now() - startedAt });
    });
    onSpawn();
  }

  #ended({ code, signal, fatal, ranMs }) {
    const { name, log, onFatal } = this.options;
    this.#child = undefined;
    if (this.#stopping) return;
    if (fatal !== undefined || code === EXIT_CONFIGURATION)
      return onFatal(new Failure(`${name}: ${fatal ?? this.#lastWords()}`));
    if (ranMs > STABLE_MS) this.#crashes = 0;
    this.#crashes += 1;
    const how = signal ?? `code ${code}`;
    if (!this.#wasReady && this.#crashes >= MAX_FAILED_FIRST_STARTS)
      return onFatal(new Failure(`${name} does not start (${how}): ${this.#lastWords()}`));
    const waitMs = Math.min(FIRST_BACK_OFF_MS * 2 ** (this.#crashes - 1), MAX_BACK_OFF_MS);
    log(`${name} ended (${how}); starting it again in ${waitMs / 1000} s (its log: ${this.options.logFile})`);
    this.#retry = setTimeout(() => this.start(), waitMs);
  }

  #lastWords() {
    const log = readFileSync(this.options.logFile);
    const said = log
      .subarray(log.length < this.#spoken ? 0 : this.#spoken) // cut meanwhile
      .toString()
      .trim()
      .split('\n');
    const line =
      said.findLast((text) => text.startsWith('{')) ?? said.find((text) => /Error\b.*:/.test(text)) ?? said.at(-1);
    return `${messageOf(line).trim() || 'it said nothing'} (its log: ${this.options.logFile})`;
  }

  /** Asks it to stop, and kills it after the deadline. Safe at any time, and more than once. */
  async stop(deadlineMs) {
    this.#stopping = true;
    clearTimeout(this.#retry);
    const child = this.#child;
    if (child === undefined) return;
    const gone = new Promise((resolve) => child.once('close', resolve));
    child.kill('SIGTERM');
    const late = setTimeout(() => {
      this.options.log(`${this.options.name} does not stop; killing it`);
      child.kill('SIGKILL');
    }, deadlineMs);
    await gone;
    clearTimeout(late);
  }
}

/** A line of a log: structured, or whatever the runtime printed when the program could not even begin. */
function messageOf(line) {
  try {
    const { msg, err } = JSON.parse(line);
    return [msg, err?.message].filter(Boolean).join(': ');
  } catch {
    return line;
  }
}
