/**
 * The relay: takes accepted messages — from the gateway's memory (`offer`) and from the queue (`claim`) — splits them by
 * destination, and sees that every recipient's outcome is recorded. RFC 5321 s4.5.4. No sockets, no SQL, no Nest.
 *
 * INVARIANT (every lease ends): a recipient taken is either recorded, or released unattempted on stop; what a crash
 * leaves behind comes back through its lease. Delivery is at least once: a next hop that accepted just before a crash
 * gets the message again.
 */
import { AttemptReporter } from './attempt-report.js';
import { BlackholeDestination } from './blackhole-destination.js';
import { ConnectionBudget } from './connection-budget.js';
import type { Destination } from './destination.js';
import { FileDestination } from './file-destination.js';
import { HostHealth } from './host-health.js';
import type { Job } from './job.js';
import { destinationKey, domainOf, jobsOf } from './message-jobs.js';
import type { DestinedJob } from './message-jobs.js';
import { LeaseReturner } from './lease-returner.js';
import { OutcomeBatcher } from './outcome-batcher.js';
import type {
  ClaimWishes,
  FileStore,
  Lease,
  QueuedMessage,
  QueuedRecipient,
  QueueStore,
  RelayEnvironment,
  Resolver,
  RouteSource,
  Transport,
} from './ports.js';
import { QueuePoller } from './queue-poller.js';
import { outcomeOf } from './attempt-outcome.js';
import type { AttemptAnswer } from './attempt-outcome.js';
import type { RouteDefinition } from './route.js';
import { refusalReply, withoutTimeLeft } from './refusal.js';
import { reportRoute } from './route-report.js';
import type { RouteReport } from './route-report.js';
import { RouteLimits } from './route-limits.js';
import { SmtpDestination } from './smtp-destination.js';

export interface RelayOptions {
  /** Our own name, in bounces. */
  readonly hostname: string;
  /** Content held in memory, at most; the poller leaves half of it to `offer`. */
  readonly maxHeldBytes?: number;
  /** Connections to all destinations together. */
  readonly maxConnections?: number;
  readonly pollIntervalMs?: number;
  /** Recipients claimed at once. */
  readonly claimLimit?: number;
}

export interface RelayPorts {
  readonly queue: QueueStore;
  readonly routes: RouteSource;
  readonly resolver: Resolver;
  readonly transport: Transport;
  readonly files: FileStore;
  readonly environment: RelayEnvironment;
}

export interface RelayFigures {
  readonly jobs: number;
  readonly heldBytes: number;
  readonly destinations: number;
  readonly outcomesPending: number;
}

const DEFAULTS = { maxHeldBytes: 64 * 1024 * 1024, maxConnections: 500, pollIntervalMs: 1_000, claimLimit: 500 };
const SWEEP_MS = 1_000;
/** Outcomes the database has not taken yet; beyond it no new mail is begun. */
const MAX_PENDING_OUTCOMES = 20_000;
const LAST_CALL_MS = 1_000;
const MAX_DESTINATIONS = 10_000;

type WorkedDestination = Destination & { readonly definition: RouteDefinition };

export class RelayWorker {
  readonly #ports: RelayPorts;
  readonly #limits: Required<Omit<RelayOptions, 'hostname'>>;
  readonly #batcher: OutcomeBatcher;
  readonly #reporter: AttemptReporter;
  readonly #poller: QueuePoller;
  readonly #leases: LeaseReturner;
  readonly #health: HostHealth;
  readonly #routeLimits: RouteLimits;
  readonly #destinations = new Map<string, WorkedDestination>();
  /** Destinations of an older policy that still have something in flight. */
  readonly #outgoing = new Set<WorkedDestination>();
  #returned: Job[] = [];
  #heldBytes = 0;
  #jobs = 0;
  /** Destinations that wanted less than a whole claim when they were last asked. */
  readonly #sated = new Set<string>();
  #sweeper: NodeJS.Timeout | undefined;
  #lastCall: NodeJS.Timeout | undefined;
  #stopping = false;
  #claiming = true;
  #idle: (() => void) | undefined;

  constructor(options: RelayOptions, ports: RelayPorts) {
    this.#ports = ports;
    this.#limits = { ...DEFAULTS, ...options };
    const { environment } = ports;
    this.#health = new HostHealth(() => environment.random());
    const budget = new ConnectionBudget(this.#limits.maxConnections);
    this.#routeLimits = new RouteLimits(budget, () => environment.gateways());
    const warn = (message: string, error?: unknown): void => ports.environment.warn(message, error);
    this.#batcher = new OutcomeBatcher(ports.queue, warn);
    this.#leases = new LeaseReturner({ queue: ports.queue, released: () => this.#poller.wake(), warn });
    this.#reporter = new AttemptReporter(ports.environment, this.#batcher, options.hostname);
    this.#poller = new QueuePoller({
      claim: () => ports.queue.claim(this.#limits.claimLimit, this.#wishes()),
      take: (message) => this.#take(message),
      hasRoom: () =>
        this.#claiming &&
        this.#heldBytes < this.#limits.maxHeldBytes / 2 &&
        this.#batcher.pending < MAX_PENDING_OUTCOMES,
      warn,
      intervalMs: this.#limits.pollIntervalMs,
      fullClaim: this.#limits.claimLimit,
    });
  }

  start(): void {
    this.#poller.start();
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_MS);
  }

  get figures(): RelayFigures {
    return {
      jobs: this.#jobs,
      heldBytes: this.#heldBytes,
      destinations: this.#destinations.size,
      outcomesPending: this.#batcher.pending,
    };
  }

  /**
   * Would `offer` take a message of this size, to these recipients, now? Ask before storing it, to store it leased or not.
   * Also false where a destination has enough already: what waits for it waits in the queue.
   */
  hasRoom(sizeBytes: number, recipients: readonly Pick<QueuedRecipient, 'route' | 'address'>[] = []): boolean {
    const fits = this.#heldBytes + sizeBytes <= this.#limits.maxHeldBytes;
    if (this.#stopping || !fits || this.#batcher.pending >= MAX_PENDING_OUTCOMES) return false;
    return recipients.every((recipient) => this.#wants(recipient));
  }

  #wants(recipient: Pick<QueuedRecipient, 'route' | 'address'>): boolean {
    const destination = this.#destinations.get(destinationKey(recipient, this.#ports.routes));
    if (destination === undefined || destination.room > 0) return true;
    // One that works gets more from memory, while there is plenty of that, than from the queue.
    return destination.works && destination.heldBytes < this.#limits.maxHeldBytes / 2;
  }

  /** A destination has worked off enough to want more than it was given. */
  #jobEnded(key: string, job: Job): void {
    this.#ended(job);
    if (!this.#sated.has(key) || (this.#destinations.get(key)?.room ?? 0) < this.#limits.claimLimit) return;
    this.#sated.delete(key);
    this.#poller.wake();
  }

  /** For a claim: which destinations want less than others. */
  #wishes(): ClaimWishes {
    const byDomain = new Set<string>();
    const limited: { route: string; domain?: string; room: number }[] = [];
    for (const { key, definition, room, heldBytes } of this.#destinations.values()) {
      const [route = '', domain] = key.split(' ', 2);
      if (definition.kind === 'mx') byDomain.add(route);
      const tooMuch = heldBytes > this.#limits.maxHeldBytes / 8;
      if (tooMuch || room < this.#limits.claimLimit) {
        this.#sated.add(key);
        limited.push({ route, ...(domain === undefined ? {} : { domain }), room: tooMuch ? 0 : room });
      }
    }
    return { byDomain: [...byDomain], limited };
  }

  /**
   * A message that was just committed under this node's lease. False: not taken, its leases are given back by the worker
   * and a poller will find it; the caller has nothing to do.
   */
  offer(message: QueuedMessage): boolean {
    if (!this.hasRoom(message.content.kind === 'inline' ? message.sizeBytes : 0)) {
      this.#leases.give(leasesOf(message));
      return false;
    }
    this.#take(message);
    return true;
  }

  /** A hint that rows are due: "retry now", a notice, a published route. */
  wake(): void {
    this.#poller.wake();
  }

  /** False: nothing more is taken from the queue, for a gateway that is being drained; `offer` goes on. */
  claimFromQueue(claiming: boolean): void {
    this.#claiming = claiming;
    if (claiming) this.#poller.wake();
  }

  /** Gives back what was not begun and is wanted; due only after a pause, so that this worker does not take it again at once. */
  recall(wanted: (job: Pick<Job, 'message' | 'recipients'>) => boolean, pauseMs = 0): void {
    for (const destination of [...this.#destinations.values(), ...this.#outgoing]) {
      for (const job of destination.recall(wanted)) this.#return(job, pauseMs);
    }
  }

  /** `recall` of everything for a domain that is suspended. */
  recallSuspended(): void {
    const { environment } = this.#ports;
    this.recall(
      ({ message, recipients }) =>
        message.refusal === undefined && recipients.some(({ address }) => environment.isSuspended(domainOf(address))),
    );
  }

  /** What mail of this route to this domain would meet now; undefined when the live policy has no such route. */
  async report(routeName: string, domain: string): Promise<RouteReport | undefined> {
    const found = this.#ports.routes.route(routeName);
    if (found === undefined) return undefined;
    const key = found.definition.kind === 'mx' ? `${routeName} ${domain}` : routeName;
    const { environment, resolver } = this.#ports;
    const use = { environment, resolver, health: this.#health, destination: this.#destinations.get(key) };
    return reportRoute({ name: routeName, domain, ...found }, use);
  }

  /** Finishes what is in flight within `graceMs`, gives back everything else, and records every outcome. */
  async stop(graceMs: number): Promise<void> {
    if (this.#stopping) return;
    this.#stopping = true;
    clearInterval(this.#sweeper);
    const deadline = setTimeout(() => this.#abort(), graceMs);
    const claimed = await this.#poller.stop();
    const leases = claimed.flatMap(leasesOf);
    for (const destination of this.#destinations.values()) for (const job of destination.stop()) this.#return(job);
    if (this.#jobs > 0) await new Promise<void>((resolve) => (this.#idle = resolve));
    await this.#reporter.settled();
    await this.#batcher.drain();
    this.#leases.give([...leases, ...this.#returned.flatMap((job) => jobLeases(job))]);
    await this.#leases.drain();
    clearTimeout(deadline);
    clearTimeout(this.#lastCall);
  }

  #abort(): void {
    for (const destination of [...this.#destinations.values(), ...this.#outgoing]) destination.abort();
    this.#ports.transport.abort();
    // What was cut off has an outcome too, and a database that works takes it in no time.
    this.#lastCall = setTimeout(() => {
      this.#batcher.abandon();
      this.#leases.abandon();
    }, LAST_CALL_MS);
  }

  #take(message: QueuedMessage): void {
    for (const destined of jobsOf(this.#withoutSuspended(message), this.#ports.routes)) {
      this.#jobs += 1;
      this.#heldBytes += destined.job.heldBytes;
      this.#place(destined);
    }
  }

  /** Mail to suspended destinations goes back before it is placed: the queue parks it. */
  #withoutSuspended(message: QueuedMessage): QueuedMessage {
    if (message.refusal !== undefined) return message;
    const { environment } = this.#ports;
    const isSuspended = ({ address }: QueuedRecipient): boolean => environment.isSuspended(domainOf(address));
    const suspended = message.recipients.filter(isSuspended);
    if (suspended.length === 0) return message;
    this.#leases.give(leasesOf({ ...message, recipients: suspended }));
    return { ...message, recipients: message.recipients.filter((recipient) => !isSuspended(recipient)) };
  }

  #place(destined: DestinedJob): void {
    const { definition, job, key } = destined;
    const { refusal, unready } = job.message;
    if (refusal !== undefined) {
      const reply = refusalReply(refusal);
      this.#settle(reply.code < 500 ? withoutTimeLeft(job) : job, { stage: 'policy', reply });
      return;
    }
    if (unready !== undefined) {
      this.#settle(job, { stage: 'policy', fault: { enhanced: '4.3.5', message: unready, progress: 'none' } });
      return;
    }
    if (definition === undefined) {
      const fault = { enhanced: '4.3.5', message: `no route is named ${job.route.name}`, progress: 'none' as const };
      this.#settle(job, { stage: 'policy', fault });
      return;
    }
    let destination = this.#destinations.get(key);
    if (destination !== undefined && destination.definition !== definition) {
      destination = this.#replace(destination, destined);
    }
    destination ??= this.#open(destined);
    destination.add(job);
  }

  /** Decided without a destination: one answer for all of the job. */
  #settle(job: Job, answer: AttemptAnswer): void {
    const outcome = outcomeOf(answer);
    const results = job.recipients.map((recipient) => ({ recipient, stage: 'policy' as const, outcome }));
    this.#reporter.report(job, { host: '', startedAtMs: this.#ports.environment.clock.nowMs() }, results);
    this.#ended(job);
  }

  /** The policy changed the route: what waits follows the new definition, what is in flight ends by the old one. */
  #replace(old: WorkedDestination, destined: DestinedJob): WorkedDestination {
    const waiting = old.stop();
    this.#outgoing.add(old);
    const destination = this.#open(destined);
    for (const job of waiting) destination.add({ ...job, route: destined.job.route, tried: new Set() });
    return destination;
  }

  #open(destined: DestinedJob): WorkedDestination {
    const { definition } = destined;
    if (definition === undefined) throw new Error('broken invariant: a destination needs a route');
    const destination = this.#made(destined, definition);
    this.#destinations.set(destined.key, destination);
    return destination;
  }

  #made({ key, domain, job }: DestinedJob, definition: RouteDefinition): WorkedDestination {
    const routeName = job.route.name;
    const { environment, files, resolver, transport } = this.#ports;
    const reporter = this.#reporter;
    const callbacks = {
      jobEnded: (job: Job) => this.#jobEnded(key, job),
      jobReturned: (job: Job) => this.#jobReturned(job),
    };
    switch (definition.kind) {
      case 'file':
        return new FileDestination(key, definition, { environment, files, reporter, ...callbacks });
      case 'blackhole':
        return new BlackholeDestination(key, definition, { environment, reporter, ...callbacks });
      case 'hosts':
      case 'mx': {
        const shared = { environment, resolver, transport, health: this.#health, reporter };
        const limits = this.#routeLimits.of(routeName, definition);
        return new SmtpDestination(key, definition, domain, { ...shared, ...limits, ...callbacks });
      }
    }
  }

  #jobReturned(job: Job): void {
    this.#return(job);
  }

  /** Not attempted: its leases go back, at once when the worker goes on and with the others when it stops. */
  #return(job: Job, pauseMs = 0): void {
    if (this.#stopping) this.#returned.push(job);
    else this.#leases.give(jobLeases(job, pauseMs));
    this.#ended(job);
  }

  #ended(job: Job): void {
    this.#jobs -= 1;
    this.#heldBytes -= job.heldBytes;
    if (this.#jobs === 0) this.#idle?.();
    if (this.#jobs === 0 || this.#heldBytes < this.#limits.maxHeldBytes / 4) this.#poller.roomAgain();
  }

  #sweep(): void {
    const nowMs = this.#ports.environment.clock.nowMs();
    for (const destination of this.#outgoing) if (destination.jobs === 0) this.#outgoing.delete(destination);
    for (const [key, destination] of this.#destinations) {
      destination.sweep(nowMs);
      if (this.#destinations.size > MAX_DESTINATIONS && destination.jobs === 0) {
        destination.stop();
        this.#destinations.delete(key);
        this.#sated.delete(key);
      }
    }
  }
}

function leasesOf({ id, recipients }: Pick<QueuedMessage, 'id' | 'recipients'>): Lease[] {
  return recipients.map((recipient) => ({ recipientId: recipient.id, messageId: id }));
}

function jobLeases({ message, recipients }: Job, pauseMs = 0): Lease[] {
  const leases = leasesOf({ id: message.id, recipients });
  return pauseMs === 0 ? leases : leases.map((lease) => ({ ...lease, pauseMs }));
}
