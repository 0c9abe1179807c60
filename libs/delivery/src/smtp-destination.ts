/**
 * One destination over SMTP: its queue, its kept connections ("lanes"), and which host they lead to.
 *
 * Jobs go to an idle lane, else a new lane is opened up to the limit, else they queue behind the content of a pipelining
 * lane. A host that cannot be reached rests; when all rest, what waits is deferred at once with the last fault instead
 * of being held. A job that a host answered temporarily goes to the next host of the route before it counts as deferred.
 */
import type { AttemptAnswer } from './attempt-outcome.js';
import { outcomeOf } from './attempt-outcome.js';
import type { AttemptPlace, AttemptResult } from './attempt-report.js';
import { JobQueue } from './destination.js';
import type { Destination } from './destination.js';
import type { Job } from './job.js';
import { Lane } from './lane.js';
import { findNextHops, pickTarget } from './next-hop.js';
import type { NextHops, RankedTarget } from './next-hop.js';
import { OpeningLimits } from './opening-limits.js';
import type { OutboundConnection } from './ports.js';
import { isStale, pairAnswers, sameForAll, surplusOf } from './recipient-answers.js';
import type { RecipientAnswer } from './recipient-answers.js';
import type { SmtpRoute } from './route.js';
import type { SmtpDestinationPorts } from './smtp-destination-ports.js';

/** Names are asked for again after this long, and after every failure of all hosts. */
const PLAN_MS = 60_000;
/** A lane closes after so many messages when other destinations wait for a connection. */
const SHARE_MESSAGES = 50;
const LANE_IDLE_MS = 5_000;
const MAX_MOVES = 3;

interface Fault {
  readonly place: Omit<AttemptPlace, 'startedAtMs'>;
  readonly answer: AttemptAnswer;
}

export class SmtpDestination implements Destination {
  readonly key: string;
  readonly definition: SmtpRoute;
  readonly #domain: string;
  readonly #ports: SmtpDestinationPorts;
  readonly #queue = new JobQueue();
  readonly #openings: OpeningLimits;
  /** Jobs for a particular target, because others were tried. */
  #directed: { readonly job: Job; readonly target: RankedTarget }[] = [];
  readonly #lanes = new Set<Lane>();
  /** Every open connection, those that are saying QUIT included. */
  readonly #connections = new Set<OutboundConnection>();
  #plan: NextHops | undefined;
  #planAtMs = 0;
  #planning = false;
  #heldBytes = 0;
  #jobs = 0;
  #stopped = false;

  constructor(key: string, definition: SmtpRoute, domain: string, ports: SmtpDestinationPorts) {
    this.key = key;
    this.definition = definition;
    this.#openings = new OpeningLimits(definition.maxConnections);
    this.#domain = domain;
    this.#ports = ports;
  }

  get jobs(): number {
    return this.#jobs;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  add(job: Job): void {
    this.#jobs += 1;
    this.#heldBytes += job.heldBytes;
    this.#queue.push(job);
    this.#pump();
  }

  sweep(nowMs: number): void {
    for (const lane of this.#lanes)
      if (lane.depth === 0 && nowMs - lane.idleSinceMs >= LANE_IDLE_MS) this.#retire(lane);
    this.#pump();
  }

  stop(): readonly Job[] {
    this.#stopped = true;
    const jobs = [...this.#queue.takeAll(), ...this.#directed.splice(0).map(({ job }) => job)];
    for (const job of jobs) this.#forget(job);
    for (const lane of this.#lanes) this.#retire(lane);
    return jobs;
  }

  abort(): void {
    for (const connection of this.#connections) connection.destroy();
  }

  #nowMs(): number {
    return this.#ports.environment.clock.nowMs();
  }

  #pump(): void {
    if (this.#stopped || (this.#queue.length === 0 && this.#directed.length === 0)) return;
    const plan = this.#currentPlan();
    if (plan === undefined) return;
    if (!plan.ok) {
      this.#plan = undefined;
      this.#failQueue({ place: { host: '' }, answer: { stage: plan.stage, fault: plan.fault } });
      return;
    }
    this.#pumpDirected();
    while (this.#queue.length > 0) {
      const lane = this.#idleLane(plan.targets);
      if (lane === undefined) break;
      this.#assign(lane, this.#queue.take());
    }
    while (this.#queue.length > this.#openings.opening && this.#mayOpen(plan.targets));
    while (this.#queue.length > this.#openings.opening) {
      const lane = this.#deepLane();
      if (lane === undefined) break;
      this.#assign(lane, this.#queue.take());
    }
    this.#failWhenHopeless(plan.targets);
  }

  /** The plan, or undefined while names are being asked for; an old plan serves until the new one is there. */
  #currentPlan(): NextHops | undefined {
    const stale = this.#nowMs() - this.#planAtMs >= PLAN_MS;
    if ((this.#plan === undefined || stale) && !this.#planning) void this.#makePlan();
    return this.#plan;
  }

  async #makePlan(): Promise<void> {
    this.#planning = true;
    try {
      const { environment, resolver } = this.#ports;
      const isSelf = (host: string, address: string | undefined, port: number): boolean =>
        environment.isSelf(host, address, port);
      this.#keepPlan(await findNextHops(this.definition, this.#domain, { resolver, isSelf }));
    } catch (error) {
      this.#ports.environment.warn(`next hops of ${this.key} cannot be found out`, error);
      const fault = { enhanced: '4.3.0', message: 'next hops cannot be found out', progress: 'none' as const };
      this.#keepPlan({ ok: false, stage: 'dns', fault });
    }
    this.#planAtMs = this.#nowMs();
    this.#planning = false;
    this.#pump();
  }

  /** Names that nobody can answer for now do not undo what they answered a minute ago. */
  #keepPlan(plan: NextHops): void {
    const isTemporary = !plan.ok && !plan.fault.enhanced.startsWith('5.');
    if (!isTemporary || this.#plan?.ok !== true) this.#plan = plan;
  }

  #isClosed(target: RankedTarget): boolean {
    return this.#ports.health.isResting(target.key, this.#nowMs());
  }

  /** Rank of the best host that may be used now; lanes to worse ones are given up. */
  #bestRank(targets: readonly RankedTarget[]): number {
    let best = Number.POSITIVE_INFINITY;
    for (const target of targets) if (target.rank < best && !this.#isClosed(target)) best = target.rank;
    return best;
  }

  #idleLane(targets: readonly RankedTarget[]): Lane | undefined {
    const best = targets.length === 1 ? Number.POSITIVE_INFINITY : this.#bestRank(targets);
    for (const lane of this.#lanes) {
      if (lane.depth > 0) continue;
      if (lane.target.rank <= best && lane.usable) return lane;
      this.#retire(lane);
    }
    return undefined;
  }

  #deepLane(): Lane | undefined {
    let found: Lane | undefined;
    for (const lane of this.#lanes) if (lane.hasRoom && (found === undefined || lane.depth < found.depth)) found = lane;
    return found;
  }

  #mayOpen(targets: readonly RankedTarget[]): boolean {
    const target = pickTarget(
      targets,
      (candidate) => this.#isClosed(candidate),
      () => this.#ports.environment.random(),
    );
    return target !== undefined && this.#openIfAllowed(target);
  }

  #openIfAllowed(target: RankedTarget, job?: Job): boolean {
    const proven = this.#laneTo(target) !== undefined;
    const suspect = this.#ports.health.isSuspect(target.key);
    if (!this.#openings.allows({ lanes: this.#lanes.size, proven, suspect, nowMs: this.#nowMs() })) return false;
    if (!this.#ports.budget.take(() => this.#pump())) return false;
    void this.#open(target, job);
    return true;
  }

  #laneTo(target: RankedTarget): Lane | undefined {
    for (const lane of this.#lanes) if (lane.target.key === target.key) return lane;
    return undefined;
  }

  async #open(target: RankedTarget, job: Job | undefined): Promise<void> {
    this.#openings.begin();
    const startedAtMs = this.#nowMs();
    const result = await this.#ports.transport.connect(target);
    this.#openings.end();
    if (!result.ok) {
      this.#ports.budget.give();
      const { stage } = result.fault;
      const answer = result.reply === undefined ? { stage, fault: result.fault } : { stage, reply: result.reply };
      this.#openFailed(target, { place: target, answer }, job === undefined ? undefined : { job, startedAtMs });
      return;
    }
    this.#ports.health.succeeded(target.key);
    const lane = new Lane(target, result.connection, this.#nowMs());
    this.#lanes.add(lane);
    this.#connections.add(lane.connection);
    lane.connection.onClose(() => this.#closed(lane));
    if (job !== undefined) this.#assign(lane, job);
    if (this.#stopped) this.#retire(lane);
    else this.#pump();
  }

  #openFailed(target: RankedTarget, fault: Fault, directed: { job: Job; startedAtMs: number } | undefined): void {
    if (this.#laneTo(target) === undefined) {
      this.#ports.health.failed(target.key, this.#nowMs(), fault.answer);
    } else {
      this.#openings.crowded(this.#lanes.size, this.#nowMs());
    }
    if (directed !== undefined) {
      this.#answered(directed.job, target, directed.startedAtMs, sameForAll(directed.job, fault.answer));
    }
    this.#pump();
  }

  #failWhenHopeless(targets: readonly RankedTarget[]): void {
    if (this.#queue.length === 0 || this.#lanes.size > 0 || this.#openings.opening > 0) return;
    if (targets.some((target) => !this.#isClosed(target))) return;
    const [first] = targets;
    const answer = first === undefined ? undefined : this.#ports.health.lastAnswer(first.key);
    if (first === undefined || answer === undefined) return;
    this.#plan = undefined;
    this.#failQueue({ place: { host: first.host, address: first.address, port: first.port }, answer });
  }

  #failQueue(fault: Fault): void {
    const startedAtMs = this.#nowMs();
    const directed = this.#directed.splice(0).map(({ job }) => job);
    for (const job of [...this.#queue.takeAll(), ...directed]) {
      this.#ports.reporter.report(job, { ...fault.place, startedAtMs }, this.#judge(sameForAll(job, fault.answer)));
      this.#end(job);
    }
  }

  #assign(lane: Lane, job: Job | undefined): void {
    if (job === undefined) return;
    const startedAtMs = this.#nowMs();
    const fresh = lane.connection.completed === 0;
    lane.begin();
    const { message, recipients } = job;
    const { sender, content, sizeBytes, body8bit } = message;
    const addresses = recipients.map(({ address }) => address);
    const sending = lane.connection.send({ sender, recipients: addresses, content, sizeBytes, body8bit });
    void sending.then(
      (result) => this.#sent(lane, job, { startedAtMs, fresh }, pairAnswers(job, result.recipients)),
      (error: unknown) => this.#ports.environment.warn(`transaction of message ${message.id} broke`, error),
    );
  }

  #sent(
    lane: Lane,
    job: Job,
    begun: { startedAtMs: number; fresh: boolean },
    answers: readonly RecipientAnswer[],
  ): void {
    lane.end(this.#nowMs());
    const moves = !begun.fresh || this.#stopped;
    if (moves && isStale(answers) && job.moves < MAX_MOVES) this.#moveElsewhere(job);
    else this.#answered(job, lane.target, begun.startedAtMs, answers);
    this.#afterTransaction(lane);
  }

  /** The kept connection had ended before this message could be offered: nobody judged it, so it is no attempt. */
  #moveElsewhere(job: Job): void {
    job.moves += 1;
    if (!this.#stopped) {
      this.#queue.putBack(job);
      return;
    }
    this.#forget(job);
    this.#ports.jobReturned(job);
  }

  #afterTransaction(lane: Lane): void {
    const exhausted = this.#ports.budget.contended && lane.connection.completed >= SHARE_MESSAGES;
    if (lane.depth === 0 && (!lane.usable || exhausted || this.#stopped)) this.#retire(lane);
    this.#pump();
  }

  /** Puts the answers where they belong: outcome, next host at once, or another transaction for those too many. */
  #answered(job: Job, target: RankedTarget, startedAtMs: number, answers: readonly RecipientAnswer[]): void {
    job.tried.add(target.key);
    const results = this.#judge(answers);
    const surplus = surplusOf(results, answers);
    const undecided = results.filter((result) => result.outcome.nextHost && !surplus.has(result));
    const next = undecided.length === 0 || this.#stopped ? undefined : this.#nextTarget(job);
    const decided = results.filter(
      (result) => !surplus.has(result) && (next === undefined || !result.outcome.nextHost),
    );
    const place = { host: target.host, address: target.address, port: target.port, startedAtMs };
    if (decided.length > 0) this.#ports.reporter.report(job, place, decided);
    if (surplus.size > 0) this.#split(job, [...surplus], new Set());
    if (next !== undefined) {
      this.#ports.reporter.reportUndecided(job, place, undecided);
      this.#directed.push({ job: this.#split(job, undecided, job.tried, false), target: next });
    }
    this.#end(job);
    this.#pump();
  }

  #judge(answers: readonly RecipientAnswer[]): AttemptResult[] {
    return answers.map(({ recipient, answer }) => ({
      recipient,
      stage: answer.stage,
      outcome: outcomeOf(answer, this.definition.nextHostOn),
    }));
  }

  #nextTarget(job: Job): RankedTarget | undefined {
    if (this.#plan?.ok !== true) return undefined;
    const excluded = (target: RankedTarget): boolean => job.tried.has(target.key) || this.#isClosed(target);
    return pickTarget(this.#plan.targets, excluded, () => this.#ports.environment.random());
  }

  /** A job for some of another's recipients. Its content is held on: the share of memory moves to the part. */
  #split(job: Job, results: readonly AttemptResult[], tried: Set<string>, queued = true): Job {
    const part: Job = { ...job, recipients: results.map(({ recipient }) => recipient), tried, moves: 0 };
    job.heldBytes = 0;
    this.#jobs += 1;
    if (queued) this.#queue.putBack(part);
    return part;
  }

  #pumpDirected(): void {
    const waiting = this.#directed;
    if (waiting.length === 0) return;
    this.#directed = [];
    for (const entry of waiting) if (!this.#direct(entry.job, entry.target)) this.#directed.push(entry);
  }

  #direct(job: Job, target: RankedTarget): boolean {
    for (const lane of this.#lanes) {
      if (lane.target.key === target.key && lane.hasRoom) {
        this.#assign(lane, job);
        return true;
      }
    }
    if (this.#isClosed(target)) {
      const next = this.#nextTarget(job);
      const answer = this.#ports.health.lastAnswer(target.key);
      if (next === undefined && answer !== undefined) {
        this.#answered(job, target, this.#nowMs(), sameForAll(job, answer));
        return true;
      }
      return next !== undefined && this.#direct(job, next);
    }
    if (this.#openIfAllowed(target, job)) return true;
    for (const lane of this.#lanes) {
      if (lane.depth > 0 || lane.target.key === target.key) continue;
      this.#retire(lane);
      return this.#openIfAllowed(target, job);
    }
    return false;
  }

  #retire(lane: Lane): void {
    if (!this.#lanes.delete(lane)) return;
    lane.connection.quit();
    this.#ports.budget.give();
  }

  #closed(lane: Lane): void {
    this.#connections.delete(lane.connection);
    if (!this.#lanes.delete(lane)) return;
    this.#ports.budget.give();
    this.#pump();
  }

  #end(job: Job): void {
    this.#forget(job);
    this.#ports.jobEnded(job);
  }

  #forget(job: Job): void {
    this.#jobs -= 1;
    this.#heldBytes -= job.heldBytes;
  }
}
