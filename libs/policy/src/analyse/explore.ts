/**
 * Judges every transaction that the policy can tell apart. Finds rules that never match (P1), routes in a circle (T1),
 * broken invariants (V1), and proves once more that nobody unidentified relays (R1): this time by the judge itself.
 */
import { allHold, ruleHolds } from '../conditions.js';
import type { CompiledPolicy } from '../compiled.js';
import type { Findings } from '../findings.js';
import { acceptedBy } from '../grants.js';
import { judgeMailIn, judgeRecipientIn } from '../judge.js';
import type { CompiledInvariant, Condition } from '../program.js';
import { Scope } from '../scope.js';
import { YES } from '../tri.js';
import type { Decision, Facts, FactValue, RecipientDecision } from '../types.js';
import { splitAddress } from '../values/addresses.js';
import { isReal } from './real-sessions.js';
import { buildUniverse, placePoint, type Universe } from './universe.js';
import type { FactPoint } from './fact-points.js';

/** Decisions that are looked at; a policy with more is not proven, and that is said. */
const MAX_DECISIONS = 400_000;

interface Watched {
  readonly id: string;
  readonly pointer: string;
  readonly when: readonly Condition[];
  readonly unless: readonly Condition[];
}

export function explore(policy: CompiledPolicy, findings: Findings): void {
  const universe = buildUniverse(policy);
  const shared = universe.shared.reduce((product, { points }) => product * points.length, 1);
  const total = shared * universe.recipients.length * universe.recipientCounts.length;
  if (total > MAX_DECISIONS) {
    findings.informs(
      'P1',
      '/acl',
      `rules that never match were not looked for: ${String(total)} different transactions`,
    );
    for (const invariant of policy.program.invariants) {
      findings.warns(
        'V1',
        invariant.pointer,
        `invariant \`${invariant.name}\` was not proven: ${String(total)} different transactions`,
      );
    }
    return;
  }
  const explorer = new Explorer(policy, universe, findings);
  explorer.run();
  explorer.reportUnreached();
}

class Explorer {
  private readonly reached = new Set<string>();
  private readonly coveredBy = new Map<string, string>();
  private readonly broken = new Set<string>();
  private readonly rules: readonly Watched[];
  private readonly asked: ReadonlySet<string>;

  constructor(
    private readonly policy: CompiledPolicy,
    private readonly universe: Universe,
    private readonly findings: Findings,
  ) {
    const { acl, routing } = policy.program;
    this.asked = new Set(universe.shared.flatMap(({ fact, points }) => (points.length > 1 ? [fact] : [])));
    // Message rules see content, which is not explored.
    const { message: _message, ...envelope } = acl;
    this.rules = [...Object.values(envelope).flat(), ...routing].filter((rule) => rule.expiresAtMs === undefined);
  }

  run(): void {
    this.everyTransaction((facts, mail, scope) => {
      this.afterMail(facts, mail, scope);
    });
  }

  reportUnreached(): void {
    const unreached = this.rules.filter((rule) => !this.reached.has(rule.id));
    if (unreached.length === 0) return;
    this.everyTransaction((facts, mail, scope) => {
      this.cover(unreached, mail, scope);
      this.everyRecipient(facts, mail, (decision, own) => {
        this.cover(unreached, decision, own);
      });
    });
    for (const rule of unreached) {
      const covering = this.coveredBy.get(rule.id);
      const why =
        covering === undefined
          ? 'its conditions contradict each other, or nobody can meet them'
          : `\`${covering}\` decides before it`;
      this.findings.blocks('P1', rule.pointer, `rule \`${rule.id}\` can never match: ${why}`);
    }
  }

  private cover(unreached: readonly Watched[], decision: Decision, scope: Scope): void {
    for (const rule of unreached) {
      const known =
        rule.id.startsWith('rcpt/') || rule.id.startsWith('routing/') ? scope.recipient !== undefined : true;
      if (known && !this.coveredBy.has(rule.id) && ruleHolds(scope, rule) === YES)
        this.coveredBy.set(rule.id, decision.by);
    }
  }

  private everyTransaction(visit: (facts: Facts, mail: Decision, scope: Scope) => void): void {
    const step = (index: number, facts: Readonly<Record<string, FactValue>>, points: readonly FactPoint[]): void => {
      const dimension = this.universe.shared[index];
      if (dimension === undefined) {
        if (!this.place(points) || !isReal(this.policy, facts, this.asked)) return;
        const scope = new Scope(this.universe.snapshot, facts);
        scope.reached = this.reached;
        visit(facts, judgeMailIn(scope), scope);
        return;
      }
      for (const point of dimension.points) {
        const next = point.value === undefined ? facts : { ...facts, [dimension.fact]: point.value };
        step(index + 1, next, [...points, point]);
      }
    };
    step(0, {}, []);
  }

  private placed: readonly FactPoint[] = [];

  private place(points: readonly FactPoint[]): boolean {
    this.placed = points;
    this.universe.open.clear();
    return points.every((point) => placePoint(this.universe.open, point));
  }

  private everyRecipient(
    facts: Facts,
    mail: Decision,
    visit: (decision: RecipientDecision, scope: Scope) => void,
  ): void {
    const before = this.placed;
    for (const recipient of this.universe.recipients) {
      this.place(before);
      if (!placePoint(this.universe.open, recipient)) continue;
      for (const count of this.universe.recipientCounts) {
        const own: Record<string, FactValue> = { recipient: recipient.value ?? '', recipients: count.value ?? 1 };
        const scope = new Scope(this.universe.snapshot, { ...facts, ...own });
        scope.reached = this.reached;
        visit(judgeRecipientIn(scope, mail), scope);
      }
    }
  }

  private afterMail(facts: Facts, mail: Decision, scope: Scope): void {
    for (const invariant of this.policy.program.invariants) {
      if (mail.verdict !== 'accept') this.checkInvariant(invariant, mail, scope);
    }
    if (mail.verdict !== 'accept' && this.policy.program.invariants.length === 0) return;
    this.everyRecipient(facts, mail, (decision, own) => {
      this.afterRecipient(decision, own);
    });
  }

  private afterRecipient(decision: RecipientDecision, scope: Scope): void {
    for (const invariant of this.policy.program.invariants) this.checkInvariant(invariant, decision, scope);
    if (decision.verdict !== 'accept' || decision.route === undefined) return;
    const domain = splitAddress(decision.recipient)?.domain ?? '';
    const ours = acceptedBy(scope, domain).covered === YES;
    const route = this.policy.routes.get(decision.route);
    if (ours && route?.kind === 'mx') this.circle(decision, domain);
  }

  private circle(decision: RecipientDecision, domain: string): void {
    const key = `mx ${decision.route ?? ''}`;
    if (this.broken.has(key)) return;
    this.broken.add(key);
    const message = `mail for our own domain \`${domain}\` takes the mx route \`${decision.route ?? ''}\`, whose MX may be ourselves, expected a route with \`hosts\` or \`file\``;
    this.findings.blocks('T1', this.routingPointer(decision.route), message);
  }

  private routingPointer(route: string | undefined): string {
    return (
      this.policy.program.routing.find((rule) => rule.route === route && this.reached.has(rule.id))?.pointer ??
      '/routing'
    );
  }

  private checkInvariant(
    invariant: CompiledInvariant,
    decision: Decision & { readonly route?: string },
    scope: Scope,
  ): void {
    if (this.broken.has(invariant.pointer)) return;
    if (invariant.verdict !== undefined && invariant.verdict !== decision.verdict) return;
    if (invariant.routes !== undefined && !this.takesRoute(invariant.routes, decision.route)) return;
    if (allHold(scope, invariant.conditions) !== YES) return;
    this.broken.add(invariant.pointer);
    const message = `invariant \`${invariant.name}\` is broken: ${printFacts(scope)} gives ${decision.verdict}${decision.by === '' ? '' : ` by \`${decision.by}\``}`;
    this.findings.blocks('V1', invariant.pointer, message);
  }

  private takesRoute(routes: NonNullable<CompiledInvariant['routes']>, route: string | undefined): boolean {
    return route !== undefined && routes.names.has(route) !== routes.negated;
  }
}

function printFacts(scope: Scope): string {
  return Object.entries(scope.facts)
    .filter(([name]) => name !== 'recipients')
    .map(
      ([name, value]) => `${name} ${value === '' ? '<>' : typeof value === 'string' ? value : JSON.stringify(value)}`,
    )
    .join(', ');
}
