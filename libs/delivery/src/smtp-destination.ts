/**
 * One destination over SMTP: its queue, its kept connections ("lanes"), and which host they lead to.
 *
 * Jobs go to an idle lane, else a new lane is opened up to the window, else they queue behind the content of a pipelining
 * lane. A host that cannot be reached, or breaks what it is given, rests; when all rest, what waits is deferred at once
 * with the last fault instead of being held. A job that a host answered temporarily goes to the next host of the route
 * before it counts as deferred. Rate limits hold jobs back and judge none.
 */
import type { AttemptAnswer } from './attempt-outcome.js';
import { outcomeOf } from './attempt-outcome.js';
import type { AttemptPlace, AttemptResult } from './attempt-report.js';
import { Concurrency } from './concurrency.js';
import { JobQueue } from './destination.js';
import type { Destination } from './destination.js';
import { HopPlan } from './hop-plan.js';
import { HostChoice } from './host-choice.js';
import type { Job } from './job.js';
import type { Lane } from './lane.js';
import { LaneSet } from './lane-set.js';
import { isSocket } from './next-hop.js';
import type { RankedTarget } from './next-hop.js';
import { outboundMessage } from './outbound-message.js';
import { isStale, pairAnswers, sameForAll, strainOf, surplusOf } from './recipient-answers.js';
import type { RecipientAnswer } from './recipient-answers.js';
import type { SmtpRoute } from './route.js';
import type { SmtpDestinationPorts } from './smtp-destination-ports.js';
import { Throttle } from './throttle.js';

/** A lane closes after so many messages when other destinations wait for a connection. */
const SHARE_MESSAGES = 50;
const MAX_MOVES = 3;
/** Jobs that wait here; the queue keeps the others, so that one destination's misfortune fills nobody's memory. */
const MAX_WAITING = 1_000;
/** Under a rate limit, what may begin within this time is enough to have here. */
const AHEAD_MS = 30_000;

const GONE = {
  enhanced: '4.4.2',
  message: 'server ended the session right after the greeting',
  progress: 'none',
  reason: 'closed',
} as const;

type Place = Omit<AttemptPlace, 'startedAtMs'>;

export class SmtpDestination implements Destination {
  readonly key: string;
  readonly definition: SmtpRoute;
  readonly #ports: SmtpDestinationPorts;
  readonly #queue = new JobQueue();
  readonly #concurrency: Concurrency;
  readonly #throttle: Throttle;
  readonly #plan: HopPlan;
  readonly #choice: HostChoice;
  readonly #lanes: LaneSet;
  /** Jobs for a particular target, because others were tried. */
  #directed: { readonly job: Job; readonly target: RankedTarget }[] = [];
  #heldBytes = 0;
  #jobs = 0;
  #stopped = false;

  constructor(key: string, definition: SmtpRoute, domain: string, ports: SmtpDestinationPorts) {
    const { environment, resolver } = ports;
    this.key = key;
    this.definition = definition;
    this.#ports = ports;
    this.#concurrency = new Concurrency(definition.maxConnections);
    this.#throttle = new Throttle(ports.flows, environment.clock, () => this.#pump());
    this.#choice = new HostChoice(ports.health, environment);
    this.#lanes = new LaneSet(ports.budget, () => this.#pump());
    this.#plan = new HopPlan({ key, definition, domain }, { environment, resolver, changed: () => this.#pump() });
  }

  get jobs(): number {
    return this.#jobs;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  get room(): number {
    return Math.max(0, Math.min(MAX_WAITING, this.#throttle.within(AHEAD_MS)) - this.#queue.length);
  }

  get works(): boolean {
    return this.#lanes.open > 0 && this.#ports.flows.length === 0;
  }

  add(job: Job): void {
    this.#jobs += 1;
    this.#heldBytes += job.heldBytes;
    this.#queue.push(job);
    this.#pump();
  }

  connectionsTo(key: string): number {
    return this.#lanes.countTo(key);
  }

  sweep(nowMs: number): void {
    this.#lanes.retireIdle(nowMs, this.#ports.budget.contended);
    this.#pump();
  }

  stop(): readonly Job[] {
    this.#stopped = true;
    const jobs = [...this.#queue.takeAll(), ...this.#directed.splice(0).map(({ job }) => job)];
    for (const job of jobs) this.#forget(job);
    this.#throttle.stop();
    this.#lanes.retireAll();
    return jobs;
  }

  recall(wanted: (job: Job) => boolean): readonly Job[] {
    const directed = new Set(this.#directed.map(({ job }) => job).filter(wanted));
    this.#directed = this.#directed.filter(({ job }) => !directed.has(job));
    const jobs = [...this.#queue.takeSome(wanted), ...directed];
    for (const job of jobs) this.#forget(job);
    return jobs;
  }

  abort(): void {
    this.#lanes.destroyAll();
  }

  #nowMs(): number {
    return this.#ports.environment.clock.nowMs();
  }

  #pump(): void {
    if (this.#stopped || (this.#queue.length === 0 && this.#directed.length === 0)) return;
    const plan = this.#plan.current();
    if (plan === undefined) return;
    if (!plan.ok) {
      this.#plan.forget();
      this.#failQueue(() => ({ place: { host: '' }, answer: { stage: plan.stage, fault: plan.fault } }));
      return;
    }
    this.#pumpDirected();
    while (this.#queue.length > 0 && this.#throttle.ready()) {
      const lane = this.#lanes.idle(this.#choice.bestRank(plan.targets));
      if (lane === undefined) break;
      this.#assign(lane, this.#queue.take());
    }
    while (this.#mayBeginMore() && this.#mayOpen(plan.targets));
    while (this.#mayBeginMore() && this.#throttle.ready()) {
      const lane = this.#lanes.roomiest();
      if (lane === undefined) break;
      this.#assign(lane, this.#queue.take());
    }
    this.#failWhenHopeless(plan.targets);
  }

  /** Beyond what the connections being opened are for. */
  #mayBeginMore(): boolean {
    const { opening } = this.#concurrency;
    if (this.#queue.length <= opening) return false;
    return opening === 0 ? this.#throttle.ready() : this.#throttle.within(0) > opening;
  }

  #mayOpen(targets: readonly RankedTarget[]): boolean {
    const target = this.#choice.pick(targets);
    return target !== undefined && this.#openIfAllowed(target);
  }

  #openIfAllowed(target: RankedTarget, job?: Job): boolean {
    const proven = this.#lanes.to(target) !== undefined;
    const suspect = this.#ports.health.isSuspect(target.key);
    if (!this.#concurrency.allows({ lanes: this.#lanes.open, proven, suspect })) return false;
    if (!this.#ports.budget.take(() => this.#pump(), proven)) return false;
    void this.#open(target, job);
    return true;
  }

  async #open(target: RankedTarget, job: Job | undefined): Promise<void> {
    this.#concurrency.begin();
    const startedAtMs = this.#nowMs();
    const result = await this.#ports.transport.connect(target, this.definition);
    this.#concurrency.end();
    if (!result.ok) {
      this.#ports.budget.give();
      const { stage } = result.fault;
      const answer = result.reply === undefined ? { stage, fault: result.fault } : { stage, reply: result.reply };
      this.#openFailed(target, startedAtMs, answer, job);
      return;
    }
    if (!result.connection.usable) {
      // Greeted and gone in one breath: taken for a success, it would be tried again and again without an end.
      this.#ports.budget.give();
      result.connection.destroy();
      this.#openFailed(target, startedAtMs, { stage: 'ehlo', fault: GONE }, job);
      return;
    }
    if (this.#ports.health.isSuspect(target.key)) this.#concurrency.healed();
    this.#ports.health.connected(target.key);
    const lane = this.#lanes.add(target, result.connection, this.#nowMs());
    if (job !== undefined) this.#assign(lane, job);
    if (this.#stopped) this.#lanes.retire(lane);
    else this.#pump();
  }

  #openFailed(target: RankedTarget, startedAtMs: number, answer: AttemptAnswer, job: Job | undefined): void {
    const crowded = this.#lanes.to(target) !== undefined;
    if (crowded) this.#concurrency.crowded(this.#lanes.size, this.#nowMs());
    else this.#ports.health.failed(target.key, this.#nowMs(), answer);
    if (job !== undefined) this.#answered(job, target, { ...placeOf(target), startedAtMs }, sameForAll(job, answer));
    else if (!crowded && !this.#stopped) this.#tellWaiting(target, startedAtMs, answer);
    this.#pump();
  }

  /**
   * The job that this connection was opened for hears of the host that another one will stand in for. One job for each
   * connection, not the whole queue: behind a dead host thousands may wait. Where no other host is left, the deferral
   * that follows says so.
   */
  #tellWaiting(target: RankedTarget, startedAtMs: number, answer: AttemptAnswer): void {
    if (this.#choice.allRest(this.#plan.targets)) return;
    const job = this.#queue.first(this.#concurrency.opening + 1).find(({ tried }) => !tried.has(target.key));
    if (job === undefined) return;
    job.tried.add(target.key);
    const place = { ...placeOf(target), startedAtMs };
    this.#ports.reporter.reportUndecided(job, place, this.#judge(sameForAll(job, answer)));
  }

  #failWhenHopeless(targets: readonly RankedTarget[]): void {
    if (this.#queue.length === 0 || this.#lanes.open > 0 || this.#concurrency.opening > 0) return;
    if (!this.#choice.allRest(targets)) return;
    const failures = targets.flatMap((target) => {
      const answer = this.#ports.health.lastAnswer(target.key);
      return answer === undefined ? [] : [{ key: target.key, place: placeOf(target), answer }];
    });
    const [first] = failures;
    if (first === undefined) return;
    this.#plan.forget();
    // A job that was told of some hosts before is deferred with one that it has not been told of.
    this.#failQueue((job) => failures.find(({ key }) => !job.tried.has(key)) ?? first);
  }

  #failQueue(faultFor: (job: Job) => { readonly place: Place; readonly answer: AttemptAnswer }): void {
    const startedAtMs = this.#nowMs();
    const directed = this.#directed.splice(0).map(({ job }) => job);
    for (const job of [...this.#queue.takeAll(), ...directed]) {
      const { place, answer } = faultFor(job);
      this.#ports.reporter.report(job, { ...place, startedAtMs }, this.#judge(sameForAll(job, answer)));
      this.#end(job);
    }
  }

  #assign(lane: Lane, job: Job | undefined): void {
    if (job === undefined) return;
    const startedAtMs = this.#nowMs();
    const fresh = lane.connection.completed === 0;
    lane.begin();
    this.#throttle.spend(job.recipients.length);
    void lane.connection.send(outboundMessage(job)).then(
      (result) => this.#sent(lane, job, { startedAtMs, fresh }, pairAnswers(job, result.recipients)),
      (error: unknown) => this.#ports.environment.warn(`transaction of message ${job.message.id} broke`, error),
    );
  }

  #sent(
    lane: Lane,
    job: Job,
    begun: { startedAtMs: number; fresh: boolean },
    answers: readonly RecipientAnswer[],
  ): void {
    lane.end(this.#nowMs());
    const moves = (!begun.fresh || this.#stopped) && isStale(answers) && job.moves < MAX_MOVES;
    if (!moves) this.#learn(lane, answers);
    if (moves) this.#moveElsewhere(job);
    else this.#answered(job, lane.target, { ...this.#placeOn(lane), startedAtMs: begun.startedAtMs }, answers);
    this.#afterTransaction(lane);
  }

  /** More at a time after what went well, less after what did not; a host that breaks everything rests. */
  #learn(lane: Lane, answers: readonly RecipientAnswer[]): void {
    const strain = strainOf(answers);
    const { target } = lane;
    if (strain === undefined) {
      this.#ports.health.succeeded(target.key);
      this.#concurrency.succeeded(this.#nowMs());
      return;
    }
    if (lane.broken) return;
    // What was behind it on the same connection fell with it.
    lane.broken = !lane.usable;
    this.#concurrency.strained();
    if (this.#ports.health.strained(target.key, this.#nowMs(), strain)) this.#lanes.retireTo(target);
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
    const enough = this.#queue.length === 0 || lane.connection.completed >= SHARE_MESSAGES;
    const exhausted = enough && this.#ports.budget.contended;
    const needless = exhausted || lane.retiring || this.#lanes.open > this.#concurrency.window;
    if (lane.depth === 0 && (!lane.usable || needless || this.#stopped)) this.#lanes.retire(lane);
    this.#pump();
  }

  /** Puts the answers where they belong: outcome, next host at once, or another transaction for those too many. */
  #answered(job: Job, target: RankedTarget, place: AttemptPlace, answers: readonly RecipientAnswer[]): void {
    job.tried.add(target.key);
    const results = this.#judge(answers);
    const surplus = surplusOf(results, answers);
    const undecided = results.filter((result) => result.outcome.nextHost && !surplus.has(result));
    const next = undecided.length === 0 || this.#stopped ? undefined : this.#choice.pick(this.#plan.targets, job.tried);
    const decided = results.filter(
      (result) => !surplus.has(result) && (next === undefined || !result.outcome.nextHost),
    );
    if (decided.length > 0) this.#ports.reporter.report(job, place, decided);
    if (surplus.size > 0) this.#split(job, [...surplus], new Set());
    if (next !== undefined) {
      this.#ports.reporter.reportUndecided(job, place, undecided);
      this.#directed.push({ job: this.#split(job, undecided, job.tried, false), target: next });
    }
    this.#end(job);
    this.#pump();
  }

  #placeOn(lane: Lane): Place {
    const { dsn, tls } = lane.connection;
    const handover = this.definition.protocol === 'lmtp' ? 'final' : dsn ? 'with-dsn' : 'without-dsn';
    return { ...placeOf(lane.target), handover, ...(tls === undefined ? {} : { tls }) };
  }

  #judge(answers: readonly RecipientAnswer[]): AttemptResult[] {
    return answers.map(({ recipient, answer }) => ({
      recipient,
      stage: answer.stage,
      outcome: outcomeOf(answer, this.definition.nextHostOn),
    }));
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
    const lane = this.#lanes.withRoomTo(target);
    if (lane !== undefined) {
      this.#assign(lane, job);
      return true;
    }
    if (this.#choice.rests(target)) {
      const next = this.#choice.pick(this.#plan.targets, job.tried);
      const answer = this.#ports.health.lastAnswer(target.key);
      if (next === undefined && answer !== undefined) {
        this.#answered(job, target, { ...placeOf(target), startedAtMs: this.#nowMs() }, sameForAll(job, answer));
        return true;
      }
      return next !== undefined && this.#direct(job, next);
    }
    if (this.#openIfAllowed(target, job)) return true;
    return this.#lanes.retireOneNotTo(target) && this.#openIfAllowed(target, job);
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

function placeOf({ host, address, port }: RankedTarget): Place {
  return isSocket(address) ? { host } : { host, address, port };
}
