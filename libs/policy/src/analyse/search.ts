/**
 * Finds a transaction that comes to a rule, or proves that there is none.
 *
 * A transaction of the box is picked and walked through the stages. Where something else decides, the reason is a box too:
 * everything in it ends in the same way. What remains of the first box without the reason is looked at next, until
 * something gets through or nothing remains. Reasons are as wide as they can be, so this takes few steps for rules as
 * people write them; the values that got through last are tried first.
 */
import { intersect, subtract, type Box, type Case } from './box.js';
import { cells, complement, EVERY_CELL, firstCell, hasCell, type CellSet } from './cells.js';
import { keyOf, type Flow, type FlowRule, type Stage } from './flow.js';

/** Cell by dimension; 0 where nothing is said. */
export type TransactionPoint = ReadonlyMap<number, number>;

export interface Goal {
  readonly rule: FlowRule;
  /** The rule must be the one that decides, and nothing after it may refuse. */
  readonly toTheEnd?: boolean;
  /** Only mail that no rule redirects: of it, all is known. */
  readonly unmoved?: boolean;
  /** Tags that there must be, or must not be, when all is decided. */
  readonly finally?: Case['tags'];
}

/** A place in the order of things. */
type Turn = Pick<FlowRule, 'stage' | 'position'>;

export type SearchResult =
  | { readonly kind: 'found'; readonly point: TransactionPoint; readonly client: number }
  /** Ids of what decides instead, in the order in which they were met. */
  | { readonly kind: 'none'; readonly instead: readonly string[] }
  | { readonly kind: 'undecided' };

/** Steps of one search; a rule that needs more is entangled with many others. */
const MOST_STEPS = 5_000;

interface Fired {
  readonly rule: FlowRule;
  readonly case: Case;
}

/** What became of a transaction, as far as it matters to reasons. */
interface Walk {
  readonly point: TransactionPoint;
  client: number;
  /** Who gave each tag first. */
  readonly givers: Map<number, Fired>;
  /** Rule that ended each stage and let the transaction go on. */
  readonly accepted: Map<number, Fired>;
  moved: Fired | undefined;
}

type Step = { readonly kind: 'through' } | { readonly kind: 'stopped'; readonly reason: Box; readonly by: string };

const THROUGH: Step = { kind: 'through' };

export class Searcher {
  /** Values that got through last. */
  private readonly saved = new Map<number, number>();
  /** Steps left for all searches together. */
  private budget: number;
  private readonly givers: ReadonlyMap<number, readonly FlowRule[]>;

  constructor(
    private readonly flow: Flow,
    budget: number,
  ) {
    this.budget = budget;
    const givers = new Map<number, FlowRule[]>();
    for (const rule of flow.stages.flatMap(({ rules }) => rules)) {
      for (const tag of rule.monitor ? [] : rule.tags) givers.set(tag, [...(givers.get(tag) ?? []), rule]);
    }
    this.givers = givers;
  }

  /** Whether a transaction within the cases comes to the goal. */
  search(within: readonly Case[], goal: Goal): SearchResult {
    const instead = new Set<string>();
    for (const one of within) {
      for (const box of this.startOf(one)) {
        const result = this.searchBox(box, one, goal, instead);
        if (result !== undefined) return result;
      }
    }
    return { kind: 'none', instead: [...instead] };
  }

  /** Where a client is asked for by name, the box is the client's from the beginning. */
  private startOf({ box, client }: Case): readonly Box[] {
    if (client.negated || client.ids.includes(0)) return [box];
    return client.ids.flatMap((index) =>
      (this.flow.clients[index - 1] ?? []).flatMap((match) => intersect(this.flow.space, box, match.box) ?? []),
    );
  }

  private searchBox(box: Box, asked: Case, goal: Goal, instead: Set<string>): SearchResult | undefined {
    const stack: Box[] = [box];
    for (let steps = 0; ; steps += 1) {
      const current = stack.pop();
      if (current === undefined) return undefined;
      this.budget -= 1;
      if (steps > MOST_STEPS || this.budget < 0) return { kind: 'undecided' };
      const point = this.pick(current);
      const walk: Walk = { point, client: 0, givers: new Map(), accepted: new Map(), moved: undefined };
      const step = this.walk(walk, asked, goal);
      if (step.kind === 'through') {
        this.save(point);
        return { kind: 'found', point, client: walk.client };
      }
      if (step.by !== '') instead.add(step.by);
      stack.push(...subtract(this.flow.space, current, step.reason).toReversed());
    }
  }

  private save(point: TransactionPoint): void {
    this.saved.clear();
    for (const [dimension, cell] of point) if (cell !== 0) this.saved.set(dimension, cell);
  }

  /** A transaction of the box, like the last one that got through where the box leaves a choice. */
  private pick(box: Box): TransactionPoint {
    const point = new Map(this.saved);
    for (const [dimension, set] of box) {
      const wanted = point.get(dimension) ?? 0;
      point.set(dimension, hasCell(set, wanted) ? wanted : hasCell(set, 0) ? 0 : firstCell(set));
    }
    for (const [dimension, atom] of this.flow.space.atoms) {
      const cell = atom.main === undefined ? 0 : (point.get(atom.main) ?? 0);
      if (point.get(dimension) === 1 && !hasCell(atom.inside, cell)) point.set(dimension, 0);
      if (!hasCell(atom.outside, cell)) point.set(dimension, 1);
    }
    return point;
  }

  private walk(walk: Walk, asked: Case, goal: Goal): Step {
    const last = goal.toTheEnd === true ? this.flow.stages.length - 1 : goal.rule.stage;
    for (const stage of this.flow.stages.slice(0, last + 1)) {
      if (stage.name === 'recipients' && walk.moved !== undefined && goal.unmoved === true) {
        return { kind: 'stopped', reason: this.reason(walk, walk.moved, false), by: '' };
      }
      if (stage.name === 'helo') walk.client = this.clientAt(walk.point);
      const step = this.walkStage(walk, stage, asked, goal);
      if (step !== undefined) return step;
    }
    return this.atTheEnd(walk, goal, { stage: Infinity, position: 0 });
  }

  private atTheEnd(walk: Walk, goal: Goal, end: Turn): Step {
    const wrong = goal.finally?.find(({ tag, given }) => isGiven(walk, tag, end) !== given);
    return wrong === undefined
      ? THROUGH
      : { kind: 'stopped', reason: this.becauseTag(walk, new Map(), wrong.tag, end), by: '' };
  }

  /** Undefined: the transaction goes on. */
  private walkStage(walk: Walk, stage: Stage, asked: Case, goal: Goal): Step | undefined {
    for (const position of this.candidates(stage, walk.point)) {
      const rule = stage.rules[position];
      if (rule === undefined) continue;
      if (rule === goal.rule) {
        const reason = this.whyNot(walk, asked, rule);
        if (reason !== undefined) return { kind: 'stopped', reason, by: '' };
        if (goal.toTheEnd === true && !stops(rule)) return undefined;
        give(walk, { rule, case: asked });
        return this.atTheEnd(walk, goal, { stage: rule.stage, position: rule.position + 1 });
      }
      if (rule.monitor) continue;
      const fired = this.fires(walk, rule);
      if (fired === undefined) continue;
      if (rule.moves) walk.moved = { rule, case: fired };
      give(walk, { rule, case: fired });
      const step = this.afterVerdict(walk, stage, { rule, case: fired }, goal);
      if (step === 'next-rule') continue;
      return step;
    }
    return undefined;
  }

  private afterVerdict(walk: Walk, stage: Stage, fired: Fired, goal: Goal): Step | undefined | 'next-rule' {
    const { rule } = fired;
    if (rule.verdict === undefined) return 'next-rule';
    const isBeforeGoal = goal.rule.stage === rule.stage;
    if (rule.verdict === 'accept' && !isBeforeGoal) {
      walk.accepted.set(rule.stage, fired);
      return undefined;
    }
    // Mail for somebody else than the recipient: what is known of the recipient does not stop it.
    if (walk.moved !== undefined && (stage.name === 'recipients' || stage.name === 'routing')) return 'next-rule';
    return { kind: 'stopped', reason: this.reason(walk, fired, isBeforeGoal), by: rule.id };
  }

  /** Positions of rules whose cases can contain the point, ascending. */
  private candidates(stage: Stage, point: TransactionPoint): readonly number[] {
    const found = [...stage.others];
    if (stage.byCell.size > 0) {
      for (const [dimension, cell] of point) found.push(...(stage.byCell.get(keyOf(dimension, cell)) ?? []));
    }
    return found.length === stage.others.length ? found : [...new Set(found)].sort((a, b) => a - b);
  }

  private fires(walk: Walk, rule: FlowRule): Case | undefined {
    return rule.cases.find(
      (one) =>
        contains(one.box, walk.point) &&
        hasCell(one.client, walk.client) &&
        one.tags.every(({ tag, given }) => isGiven(walk, tag, rule) === given),
    );
  }

  private clientAt(point: TransactionPoint): number {
    return 1 + this.flow.clients.findIndex((cases) => cases.some(({ box }) => contains(box, point)));
  }

  /** Why the goal does not hold although the box is right: the client is another one, or the tags are. */
  private whyNot(walk: Walk, asked: Case, rule: FlowRule): Box | undefined {
    if (!hasCell(asked.client, walk.client)) return this.becauseClient(walk, new Map());
    const wrong = asked.tags.find(({ tag, given }) => isGiven(walk, tag, rule) !== given);
    return wrong === undefined ? undefined : this.becauseTag(walk, new Map(), wrong.tag, rule);
  }

  /** The widest box at hand in which the same happens. INVARIANT (sound reason): no transaction in it gets through. */
  private reason(walk: Walk, fired: Fired, isBeforeGoal: boolean): Box {
    const box = this.becauseFired(walk, new Map(), fired);
    // Whatever ends the stage before the goal keeps the goal from its turn; in an earlier stage an accept does not.
    return isBeforeGoal ? box : this.becauseReached(walk, box, fired.rule);
  }

  private becauseFired(walk: Walk, box: Map<number, CellSet>, { rule, case: one }: Fired): Map<number, CellSet> {
    let result = narrowed(box, one.box);
    if (one.client !== EVERY_CELL) result = this.becauseClient(walk, result);
    for (const { tag } of one.tags) result = this.becauseTag(walk, result, tag, rule);
    return result;
  }

  private becauseReached(walk: Walk, box: Map<number, CellSet>, rule: FlowRule): Map<number, CellSet> {
    const stage = this.flow.stages[rule.stage];
    let result = box;
    for (const position of stage?.accepting ?? []) {
      if (position >= rule.position) break;
      const other = stage?.rules[position];
      if (other !== undefined) result = this.becauseNot(walk, result, other);
    }
    return result;
  }

  /** The rule does not fire. */
  private becauseNot(walk: Walk, box: Map<number, CellSet>, rule: FlowRule): Map<number, CellSet> {
    let result = box;
    for (const one of rule.cases) {
      const apart = [...one.box].find(([dimension, set]) => !hasCell(set, walk.point.get(dimension) ?? 0));
      if (apart !== undefined) {
        result = narrowed(result, new Map([[apart[0], complement(apart[1])]]));
      } else if (!hasCell(one.client, walk.client)) {
        result = this.becauseClient(walk, result);
      } else {
        const wrong = one.tags.find(({ tag, given }) => isGiven(walk, tag, rule) !== given);
        const before = walk.accepted.get(rule.stage);
        if (wrong !== undefined) result = this.becauseTag(walk, result, wrong.tag, rule);
        else if (before !== undefined) result = this.becauseFired(walk, result, before);
      }
    }
    return result;
  }

  private becauseClient(walk: Walk, box: Map<number, CellSet>): Map<number, CellSet> {
    let result = box;
    for (const [index, cases] of this.flow.clients.entries()) {
      const own = index + 1 === walk.client ? cases.find((one) => contains(one.box, walk.point)) : undefined;
      if (own !== undefined) return narrowed(result, own.box);
      for (const one of cases) {
        const apart = [...one.box].find(([dimension, set]) => !hasCell(set, walk.point.get(dimension) ?? 0));
        if (apart !== undefined) result = narrowed(result, new Map([[apart[0], complement(apart[1])]]));
      }
    }
    return result;
  }

  /** The tag is there, or is not, when the rule's turn comes. */
  private becauseTag(walk: Walk, box: Map<number, CellSet>, tag: number, rule: Turn): Map<number, CellSet> {
    const giver = walk.givers.get(tag);
    if (giver !== undefined && isBefore(giver.rule, rule)) {
      return this.becauseReached(walk, this.becauseFired(walk, box, giver), giver.rule);
    }
    let result = box;
    for (const each of this.givers.get(tag) ?? [])
      if (isBefore(each, rule)) result = this.becauseNot(walk, result, each);
    return result;
  }
}

function stops({ verdict }: FlowRule): boolean {
  return verdict !== undefined && verdict !== 'accept';
}

function give(walk: Walk, fired: Fired): void {
  for (const tag of fired.rule.tags) if (!walk.givers.has(tag)) walk.givers.set(tag, fired);
}

/** Whether the tag was there when the rule had its turn. */
function isGiven(walk: Walk, tag: number, rule: Turn): boolean {
  const giver = walk.givers.get(tag);
  return giver !== undefined && isBefore(giver.rule, rule);
}

function isBefore(a: Turn, b: Turn): boolean {
  return a.stage < b.stage || (a.stage === b.stage && a.position < b.position);
}

export function contains(box: Box, point: TransactionPoint): boolean {
  for (const [dimension, set] of box) if (!hasCell(set, point.get(dimension) ?? 0)) return false;
  return true;
}

/** Both hold at the point, so the result is not empty. */
function narrowed(box: ReadonlyMap<number, CellSet>, by: Box): Map<number, CellSet> {
  const result = new Map(box);
  for (const [dimension, set] of by) {
    const before = result.get(dimension);
    result.set(dimension, before === undefined ? set : meet(before, set));
  }
  return result;
}

function meet(a: CellSet, b: CellSet): CellSet {
  if (!a.negated) return cells(a.ids.filter((id) => hasCell(b, id)));
  if (!b.negated) return cells(b.ids.filter((id) => hasCell(a, id)));
  return complement(cells([...a.ids, ...b.ids]));
}

/** For callers that only have a box. */
export function caseOf(box: Box): Case {
  return { box, client: EVERY_CELL, tags: [] };
}
