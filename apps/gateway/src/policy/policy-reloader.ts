/**
 * Keeps the holder on the released policy and the newest managed lists.
 *
 * A notification is a hint, the poll is the truth: a lost notification costs one poll interval. What is loaded is
 * verified (digest), compiled, and its listeners opened, before one reference is swapped. Any failure keeps the old
 * policy, is recorded once per revision, and is tried again.
 */
import { createHash } from 'node:crypto';
import type { AuditEvent } from '#audit';
import { newId, type ListStore, type PolicyRelease, type PolicyRevision, type PolicyStore } from '#database';
import { compile, type CompiledPolicy, type CompileResult, type Finding, type ManagedList } from '#policy';
import { ListenFailure, type Listeners, type PreparedListeners } from '../inbound/listeners.js';
import type { Logger } from '../log.js';
import { compileAside } from './compile-aside.js';
import { isWorn, loadList, rebuildList, updateList } from './list-loader.js';
import type { LoadedPolicy, PolicyHolder } from './policy-holder.js';

const POLL_INTERVAL_MS = 2_000;

export interface PolicyReloaderOptions {
  readonly policyName: string;
  readonly nodeName: string;
  readonly policies: Pick<PolicyStore, 'liveRelease' | 'revision'>;
  readonly lists: Pick<ListStore, 'heads' | 'read' | 'changesSince'>;
  readonly holder: PolicyHolder;
  readonly listeners: Listeners;
  readonly appendAudit: (events: readonly AuditEvent[]) => void;
  readonly log: Logger;
}

export interface PolicyRefusal {
  readonly revision: number;
  /** A sentence for the operator. */
  readonly reason: string;
}

export class PolicyReloader {
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #again = false;
  #stopped = false;
  #reportedFailure = '';
  readonly #listeners: ((loaded: LoadedPolicy) => void)[] = [];
  readonly #refusalListeners: ((refused: PolicyRefusal | undefined) => void)[] = [];
  /** Lists made anew beside the one in force, which take its place at the next look. */
  readonly #rebuilt = new Map<string, ManagedList>();
  #rebuilding: Promise<void> | undefined;

  constructor(private readonly options: PolicyReloaderOptions) {}

  /** Told when a released policy is not taken, and (undefined) when that is over. */
  onRefusal(listener: (refused: PolicyRefusal | undefined) => void): void {
    this.#refusalListeners.push(listener);
  }

  /** Told after every swap, also of a managed list alone. */
  onSwap(listener: (loaded: LoadedPolicy) => void): void {
    this.#listeners.push(listener);
  }

  /** Loads the released policy. Throws what prevents it; a failure of a later reload is only recorded. */
  async start(): Promise<void> {
    await this.#refresh();
    if (this.options.holder.loaded === undefined) throw new Error('no policy has been released yet');
    this.#timer = setInterval(() => {
      this.hint();
    }, POLL_INTERVAL_MS);
  }

  /** Something may have changed: looks now. Calls during a look are answered by one more look after it. */
  hint(): void {
    if (this.#stopped) return;
    if (this.#running !== undefined) {
      this.#again = true;
      return;
    }
    this.#running = this.#refresh()
      .catch((error: unknown) => {
        this.#reportFailure(error);
      })
      .finally(() => {
        this.#running = undefined;
        if (!this.#again) return;
        this.#again = false;
        this.hint();
      });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#timer);
    await this.#running;
    await this.#rebuilding;
  }

  async #refresh(): Promise<void> {
    const release = await this.options.policies.liveRelease(this.options.policyName);
    if (release === undefined) return;
    const current = this.options.holder.loaded;
    const same = current?.revision === release.revision ? current : undefined;
    const { policy, digest } = same ?? (await this.#compileReleased(release));
    const lists = await this.#loadLists(policy, current?.lists ?? new Map<string, ManagedList>());
    if (same !== undefined) this.#refusalEnded(); // what was refused is released no longer
    if (same !== undefined && sameLists(same.lists, lists)) return;
    const compiledAt = same === undefined ? new Date().toISOString() : same.compiledAt;
    const loaded = { policy, revision: release.revision, digest, lists, compiledAt };
    if (same !== undefined) this.options.holder.swap(loaded);
    else await this.#swapPolicy(loaded);
    this.#refusalEnded();
    for (const listener of this.#listeners) listener(loaded);
    this.#rebuildWorn(lists);
  }

  /** A list that was changed much is made anew, while the changed one goes on judging. */
  #rebuildWorn(lists: ReadonlyMap<string, ManagedList>): void {
    const worn = [...lists.values()].find(isWorn);
    if (worn === undefined || this.#rebuilding !== undefined || this.#stopped) return;
    this.#rebuilding = rebuildList(worn)
      .then((list) => {
        this.#rebuilt.set(list.name, list);
      })
      .finally(() => {
        this.#rebuilding = undefined;
        this.hint();
      });
  }

  async #compileReleased(
    release: PolicyRelease,
  ): Promise<{ readonly policy: CompiledPolicy; readonly digest: string }> {
    const released = await this.options.policies.revision(release.revision, release.policy);
    if (released === undefined) throw new Error(`released revision ${String(release.revision)} is missing`);
    // Before the first policy there is nobody to keep waiting.
    const isFirst = this.options.holder.loaded === undefined;
    return compileRevision(released, isFirst ? compile : compileAside);
  }

  async #swapPolicy(loaded: LoadedPolicy): Promise<void> {
    const prepared = await this.#openListeners(loaded);
    // Policy first: a connection to a listener that was just opened must find the policy that names it.
    this.options.holder.swap(loaded);
    this.options.listeners.commit(prepared);
    const { nodeName, log } = this.options;
    log.info({ revision: loaded.revision, digest: loaded.digest }, 'policy loaded');
    this.options.appendAudit([
      {
        id: newId(),
        kind: 'policy.loaded',
        data: { node: nodeName, revision: loaded.revision, digest: loaded.digest },
      },
    ]);
  }

  async #openListeners(loaded: LoadedPolicy): Promise<PreparedListeners> {
    try {
      return await this.options.listeners.prepare(loaded.policy.listeners);
    } catch (error) {
      // At the first start there is no old policy to keep: the sentence goes to whoever started us.
      if (error instanceof ListenFailure && this.options.holder.loaded !== undefined) {
        throw new PolicyUnusable(loaded.revision, error.message);
      }
      throw error;
    }
  }

  async #loadLists(
    policy: CompiledPolicy,
    known: ReadonlyMap<string, ManagedList>,
  ): Promise<ReadonlyMap<string, ManagedList>> {
    const wanted = policy.managedLists;
    if (wanted.length === 0) return new Map();
    const heads = new Map((await this.options.lists.heads()).map((head) => [head.list, head.revision]));
    const lists = new Map<string, ManagedList>();
    for (const { name, type } of wanted) {
      const old = this.#newestOf(name, known.get(name));
      const revision = heads.get(name) ?? 0;
      if (old?.type !== type) lists.set(name, await loadList(this.options.lists, name, type));
      else lists.set(name, old.revision === revision ? old : await updateList(this.options.lists, old));
    }
    return lists;
  }

  /** The one in force, or what was made of it since. */
  #newestOf(name: string, known: ManagedList | undefined): ManagedList | undefined {
    const rebuilt = this.#rebuilt.get(name);
    this.#rebuilt.delete(name);
    return rebuilt?.type === known?.type ? (rebuilt ?? known) : known;
  }

  #refusalEnded(): void {
    if (this.#reportedFailure === '') return;
    this.#reportedFailure = '';
    for (const listener of this.#refusalListeners) listener(undefined);
  }

  #reportFailure(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    const { log, nodeName } = this.options;
    if (!(error instanceof PolicyUnusable)) {
      log.warn({ err: error }, 'policy not refreshed; the one in force stays');
      return;
    }
    if (message === this.#reportedFailure) return;
    this.#reportedFailure = message;
    log.error({ reason: message }, 'released policy not loaded; the one in force stays');
    this.options.appendAudit([
      { id: newId(), kind: 'policy.load-failed', data: { node: nodeName, revision: error.revision, message } },
    ]);
    for (const listener of this.#refusalListeners) listener({ revision: error.revision, reason: message });
  }
}

/** The released document does not pass: written by hand into the database, or by a newer program. */
class PolicyUnusable extends Error {
  constructor(
    readonly revision: number,
    message: string,
  ) {
    super(message);
  }
}

async function compileRevision(
  released: PolicyRevision,
  compiler: (source: string) => CompileResult | Promise<CompileResult>,
): Promise<{ readonly policy: CompiledPolicy; readonly digest: string }> {
  const { revision, source, digest } = released;
  if (`sha256:${createHash('sha256').update(source, 'utf8').digest('hex')}` !== digest) {
    throw new PolicyUnusable(revision, `revision ${String(revision)} does not match its digest`);
  }
  const result = await compiler(source);
  if (result.ok) return { policy: result.policy, digest };
  const first = result.findings.find((finding) => finding.severity === 'blocks');
  const why = first === undefined ? 'unknown finding' : describe(first);
  throw new PolicyUnusable(revision, `revision ${String(revision)} does not compile: ${why}`);
}

function describe(finding: Finding): string {
  const line = finding.line === undefined ? '' : ` (line ${String(finding.line)})`;
  return `${finding.message} at ${finding.pointer}${line}`;
}

function sameLists(a: ReadonlyMap<string, ManagedList>, b: ReadonlyMap<string, ManagedList>): boolean {
  return a.size === b.size && [...b].every(([name, list]) => a.get(name) === list);
}
