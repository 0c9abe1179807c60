/** P2: two rules of which either would decide the same mail, differently, and neither is the exception of the other. */
import type { CompiledPolicy } from '../compiled.js';
import type { Findings } from '../findings.js';
import { ACL_PHASES } from '../vocabulary.js';
import { areDisjoint, combine, isInside, TooManyCases, type Case, type Frame } from './box.js';
import { exampleOf, printFacts } from './example.js';
import { keyOf, type Flow, type FlowRule, type Stage } from './flow.js';
import type { Searcher } from './search.js';

/** Pairs that are looked at, of one document. */
const MOST_PAIRS = 500_000;
const MOST_TOLD = 100;

interface Use {
  readonly policy: CompiledPolicy;
  readonly flow: Flow;
  readonly searcher: Searcher;
}

export function reportOrder(policy: CompiledPolicy, flow: Flow, searcher: Searcher, findings: Findings): void {
  const report = new OrderReport({ policy, flow, searcher }, findings);
  for (const stage of flow.stages.filter(({ name }) => (ACL_PHASES as readonly string[]).includes(name))) {
    for (const later of stage.rules) report.look(new Rivals(stage), later);
  }
}

class OrderReport {
  private pairs = MOST_PAIRS;
  private told = 0;

  /** Rules that only put mail off: what stands behind them is asked when it comes back. */
  private readonly waiting: ReadonlySet<string>;

  constructor(
    private readonly use: Use,
    private readonly findings: Findings,
  ) {
    const { rcpt } = use.policy.program.acl;
    this.waiting = new Set(rcpt.flatMap(({ id, greylist }) => (greylist === undefined ? [] : [id])));
  }

  /** The first rule before this one that contends with it. */
  look(rivals: Rivals, later: FlowRule): void {
    for (const earlier of rivals.of(later)) {
      this.pairs -= 1;
      if (this.pairs < 0 || this.told >= MOST_TOLD) return;
      const message = conflict(this.use, earlier, later);
      if (message === undefined) continue;
      // Mail that is let through first is usually meant as an exception from what follows.
      const isUsual = earlier.verdict === 'accept' || [earlier, later].some(({ id }) => this.waiting.has(id));
      if (isUsual) this.findings.informs('P2', later.pointer, message);
      else this.findings.warns('P2', later.pointer, message);
      this.told += 1;
      return;
    }
  }
}

function decides({ verdict, monitor }: FlowRule): boolean {
  return verdict !== undefined && !monitor;
}

/** Earlier rules of another verdict that some transaction may share with a rule. */
class Rivals {
  constructor(private readonly stage: Stage) {}

  *of(later: FlowRule): Generator<FlowRule> {
    if (!decides(later)) return;
    for (const position of this.near(later)) {
      if (position >= later.position) continue;
      const earlier = this.stage.rules[position];
      if (earlier !== undefined && decides(earlier) && earlier.verdict !== later.verdict) yield earlier;
    }
  }

  /** Rules without a cell of their own are near to all; rules with one, to those that share it. */
  private near(rule: FlowRule): Iterable<number> {
    if (this.stage.others.includes(rule.position)) return this.stage.rules.keys();
    const sets = rule.cases.flatMap(({ box }) => [...box].filter(([, set]) => !set.negated));
    const keys = sets.flatMap(([dimension, { ids }]) => ids.map((cell) => keyOf(dimension, cell)));
    return new Set([...this.stage.others, ...keys.flatMap((key) => this.stage.byCell.get(key) ?? [])]);
  }
}

function conflict(use: Use, earlier: FlowRule, later: FlowRule): string | undefined {
  const { space } = use.flow;
  if (isWithin(space, earlier.cases, later.cases) || isWithin(space, later.cases, earlier.cases)) return undefined;
  const both = shared(space, earlier.cases, later.cases);
  if (both.length === 0) return undefined;
  const result = use.searcher.search(both, { rule: earlier });
  if (result.kind !== 'found') return undefined;
  const { facts } = exampleOf(use.policy, use.flow, result.point);
  return (
    `rule \`${later.id}\` (${later.verdict ?? ''}) and \`${earlier.id}\` (${earlier.verdict ?? ''}) before it hold for the same mail ` +
    `(${printFacts(facts)}), their order decides, expected one to except the other`
  );
}

function shared(frame: Frame, a: readonly Case[], b: readonly Case[]): readonly Case[] {
  const near = a.filter((one) => b.some((two) => !areDisjoint(frame, one.box, two.box)));
  try {
    return combine(frame, near, b);
  } catch (error) {
    if (error instanceof TooManyCases) return [];
    throw error;
  }
}

function isWithin(frame: Frame, inner: readonly Case[], outer: readonly Case[]): boolean {
  return inner.every((one) =>
    outer.some(
      (two) =>
        isInside(frame, one.box, two.box) &&
        two.tags.every(({ tag, given }) => one.tags.some((own) => own.tag === tag && own.given === given)) &&
        isClientWithin(one, two),
    ),
  );
}

function isClientWithin(inner: Case, outer: Case): boolean {
  if (outer.client.negated && outer.client.ids.length === 0) return true;
  return (
    !inner.client.negated && inner.client.ids.every((id) => outer.client.ids.includes(id) !== outer.client.negated)
  );
}
