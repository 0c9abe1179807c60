/**
 * The order of things as the judge has it, in boxes: stages of rules, each rule in its cases. What the judge does without
 * a rule (sender binding, relay right, known recipients) stands here as rules of its own.
 */
import type { CompiledPolicy } from '../compiled.js';
import type { Condition } from '../program.js';
import type { Verdict } from '../types.js';
import { ACL_PHASES } from '../vocabulary.js';
import { combine, TooManyCases, type Box, type Case } from './box.js';
import { cells, complement, type CellSet } from './cells.js';
import { ALWAYS, Space } from './space.js';
import { unrealCases } from './unreal.js';

export interface FlowRule {
  readonly id: string;
  readonly pointer: string;
  /** Any of them; none: it can not hold. */
  readonly cases: readonly Case[];
  /** Ends the stage; anything but `accept` ends the transaction. */
  readonly verdict?: Verdict;
  readonly tags: readonly number[];
  /** Holds, but does nothing. */
  readonly monitor: boolean;
  readonly route?: string;
  /** Sends the mail to somebody else instead of the recipient. */
  readonly moves: boolean;
  readonly stage: number;
  readonly position: number;
}

export interface Stage {
  readonly name: string;
  readonly rules: readonly FlowRule[];
  /** Rules by a cell that one of their cases needs: `dimension * 2^24 + cell`. */
  readonly byCell: ReadonlyMap<number, readonly number[]>;
  /** Rules that have no such cell. */
  readonly others: readonly number[];
  /** Positions of rules that end the stage and let the transaction go on. */
  readonly accepting: readonly number[];
}

type Draft = Omit<FlowRule, 'stage' | 'position'>;

const CELLS = 2 ** 24;

export interface Flow {
  readonly space: Space;
  readonly stages: readonly Stage[];
  /** Cases of each client's match, in their order. */
  readonly clients: readonly (readonly Case[])[];
  /** Rules of the document whose cases are too many to be looked at. */
  readonly tangled: readonly { readonly id: string; readonly pointer: string }[];
  /** Instants at which rules end, ascending; cell n of `epoch` is after the n-th. */
  readonly epoch: number;
  readonly instants: readonly number[];
}

export function conditionsOf(policy: CompiledPolicy): readonly Condition[] {
  const { clients, acl, routing, copies, invariants } = policy.program;
  return [
    ...clients.flatMap((client) => client.match),
    ...Object.values(acl).flatMap((rules) => rules.flatMap((rule) => [...rule.when, ...rule.unless])),
    ...[...routing, ...copies].flatMap((rule) => [...rule.when, ...rule.unless]),
    ...invariants.flatMap((invariant) => invariant.conditions),
  ];
}

/** Looks at the conditions in the order of their cost: what excludes most comes first. */
export function casesOfAll(
  space: Space,
  when: readonly Condition[],
  unless: readonly Condition[] = [],
): readonly Case[] {
  const parts = [
    ...when.map((condition) => space.conditionCases(condition, true)),
    ...unless.map((condition) => space.conditionCases(condition, false)),
  ];
  parts.sort((a, b) => a.length - b.length);
  return parts.reduce<readonly Case[]>((all, part) => combine(space, all, part), ALWAYS);
}

export function buildFlow(policy: CompiledPolicy): Flow {
  return new FlowBuilder(policy).build();
}

interface Written {
  readonly id: string;
  readonly pointer: string;
  readonly when: readonly Condition[];
  readonly unless: readonly Condition[];
  readonly expiresAtMs?: number;
}

class FlowBuilder {
  private readonly space: Space;
  private readonly tangled: { readonly id: string; readonly pointer: string }[] = [];
  private readonly stages: Stage[] = [];
  private readonly instants: readonly number[];
  private readonly epoch: number;

  constructor(private readonly policy: CompiledPolicy) {
    this.space = new Space(policy, conditionsOf(policy));
    const { acl, routing, copies } = policy.program;
    const ends = [...Object.values(acl).flat(), ...routing, ...copies].flatMap(({ expiresAtMs }) => expiresAtMs ?? []);
    this.instants = [...new Set(ends)].sort((a, b) => a - b);
    this.epoch = this.space.sizes.push(this.instants.length + 1) - 1;
  }

  build(): Flow {
    const { program } = this.policy;
    const clients = program.clients.map(({ match, pointer, name }) =>
      this.casesOf({ id: `clients/${name}`, pointer, when: match, unless: [] }),
    );
    this.addStage('unreal', [builtin('', unrealCases(this.space), 'reject')]);
    for (const phase of ACL_PHASES) {
      if (phase === 'mail') this.addStage('senders', [...this.demandRules(), ...this.senderRules()]);
      if (phase === 'rcpt') this.addStage('relay', this.relayRules());
      if (phase === 'message') continue;
      this.addStage(phase, this.aclRules(phase));
    }
    this.addStage('recipients', this.verificationRules());
    this.addStage('routing', this.routingRules());
    this.addStage('copies', this.copyRules());
    this.addStage('message', this.aclRules('message'));
    const { space, stages, tangled, epoch, instants } = this;
    return { space, stages, clients, tangled, epoch, instants };
  }

  private casesOf(rule: Written): readonly Case[] {
    try {
      const cases = casesOfAll(this.space, rule.when, rule.unless);
      return rule.expiresAtMs === undefined ? cases : combine(this.space, cases, this.until(rule.expiresAtMs));
    } catch (error) {
      if (!(error instanceof TooManyCases)) throw error;
      this.tangled.push({ id: rule.id, pointer: rule.pointer });
      return [];
    }
  }

  private until(expiresAtMs: number): readonly Case[] {
    const last = this.instants.indexOf(expiresAtMs);
    return this.space.only(this.epoch, cells(Array.from({ length: last + 1 }, (_, cell) => cell)));
  }

  private aclRules(phase: (typeof ACL_PHASES)[number]): readonly Draft[] {
    return this.policy.program.acl[phase].map((rule) => ({
      id: rule.id,
      pointer: rule.pointer,
      cases: this.casesOf(rule),
      ...(rule.verdict === undefined ? {} : { verdict: rule.verdict }),
      tags: rule.monitor ? [] : rule.tags.map((tag) => this.space.tags.indexOf(tag)),
      monitor: rule.monitor,
      moves: !rule.monitor && rule.redirect !== undefined,
    }));
  }

  private routingRules(): readonly Draft[] {
    return this.policy.program.routing.map((rule) => ({
      ...builtin(rule.id, this.casesOf(rule), 'accept'),
      pointer: rule.pointer,
      route: rule.route,
    }));
  }

  private copyRules(): readonly Draft[] {
    return this.policy.program.copies.map((rule) => {
      const { verdict: _verdict, ...draft } = builtin(rule.id, this.casesOf(rule), 'accept');
      return { ...draft, pointer: rule.pointer };
    });
  }

  /** What the listener demands before MAIL FROM. */
  private demandRules(): readonly Draft[] {
    const { space } = this;
    const listener = space.single('listener');
    return ['tls', 'auth'].flatMap((demand) => {
      const fact = space.single(demand);
      if (listener === undefined || fact === undefined) return [];
      const demanding = space.only(listener, space.named('listener', `demands ${demand}`));
      const missing = space.only(fact, space.named(demand, 'missing'));
      return [builtin(`builtin/${demand}-required`, combine(space, demanding, missing), 'reject')];
    });
  }

  /** A client that may not send as anybody. */
  private senderRules(): readonly Draft[] {
    return this.policy.program.clients.flatMap(({ senders }, index) => {
      if (senders === undefined) return [];
      const { space } = this;
      const sender = space.single('sender');
      const isThere = sender === undefined ? ALWAYS : space.only(sender, complement(space.named('sender', 'absent')));
      const cases = combine(space, isThere, space.notGrantedCases('sender', senders));
      return [builtin('builtin/sender-not-allowed', forClients(cases, cells([index + 1])), 'reject')];
    });
  }

  private relayRules(): readonly Draft[] {
    const { space } = this;
    const recipient = space.single('recipient');
    const notOurs = space.acceptedCases(false);
    const forwarded = complement(space.named('recipient', 'external'));
    const denied = recipient === undefined ? notOurs : combine(space, notOurs, space.only(recipient, forwarded));
    const { clients } = this.policy.program;
    const without = clients.flatMap(({ relay }, index) => (relay === undefined ? [index + 1] : []));
    const rules = [builtin('builtin/relay-denied', forClients(denied, cells([0, ...without])), 'reject')];
    for (const [index, { relay }] of clients.entries()) {
      if (relay === undefined || relay === 'anywhere') continue;
      const cases = combine(space, denied, space.notGrantedCases('recipient', relay));
      rules.push(builtin('builtin/relay-denied', forClients(cases, cells([index + 1])), 'reject'));
    }
    return rules;
  }

  private verificationRules(): readonly Draft[] {
    return [builtin('builtin/no-such-recipient', this.space.listedCases(false), 'reject')];
  }

  private addStage(name: string, drafts: readonly Draft[]): void {
    const stage = this.stages.length;
    const rules = drafts.map((draft, position) => ({ ...draft, stage, position }));
    const byCell = new Map<number, number[]>();
    const others: number[] = [];
    for (const rule of rules) this.index(rule, byCell, others);
    const accepting = rules.flatMap(({ verdict, monitor, position }) =>
      verdict === 'accept' && !monitor ? [position] : [],
    );
    this.stages.push({ name, rules, byCell, others, accepting });
  }

  private index(rule: FlowRule, byCell: Map<number, number[]>, others: number[]): void {
    const anchors = rule.cases.map(({ box }) => anchorOf(box));
    if (anchors.includes(undefined)) {
      others.push(rule.position);
      return;
    }
    const keys = anchors.flatMap((anchor) => anchor?.set.ids.map((cell) => keyOf(anchor.dimension, cell)) ?? []);
    for (const key of new Set(keys)) {
      const before = byCell.get(key);
      if (before === undefined) byCell.set(key, [rule.position]);
      else before.push(rule.position);
    }
  }
}

export function keyOf(dimension: number, cell: number): number {
  return dimension * CELLS + cell;
}

const MOST_ANCHOR_CELLS = 16;

/** The dimension of which the box needs the fewest cells. */
function anchorOf(box: Box): { readonly dimension: number; readonly set: CellSet } | undefined {
  let best: { readonly dimension: number; readonly set: CellSet } | undefined;
  for (const [dimension, set] of box) {
    if (set.negated || set.ids.length > (best?.set.ids.length ?? MOST_ANCHOR_CELLS)) continue;
    // Cell 0 is what nearly every transaction has.
    if (set.ids.includes(0)) continue;
    best = { dimension, set };
  }
  return best;
}

function builtin(id: string, cases: readonly Case[], verdict: Verdict): Draft {
  return { id, pointer: '', cases, verdict, tags: [], monitor: false, moves: false };
}

function forClients(cases: readonly Case[], client: CellSet): readonly Case[] {
  return cases.map((one) => ({ ...one, client }));
}
