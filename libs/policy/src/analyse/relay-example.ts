/** Transactions that an open relay would take: found by the search, said again by the judge. */
import type { CompiledPolicy } from '../compiled.js';
import type { Members } from '../program.js';
import type { Facts } from '../types.js';
import { combine, TooManyCases, type Case } from './box.js';
import { cells } from './cells.js';
import { exampleOf, judgeExample, printFacts } from './example.js';
import { buildFlow, type Flow } from './flow.js';
import { ALWAYS } from './space.js';
import { Searcher } from './search.js';

const BUDGET = 20_000;

/** Made only where something is wrong: a sound policy needs no example. */
export class RelayExamples {
  private made: { readonly flow: Flow; readonly searcher: Searcher } | undefined;

  constructor(
    private readonly policy: CompiledPolicy,
    /** The policy that the examples are of. */
    private readonly judged = policy,
  ) {}

  /** Mail of the client to a domain that is not ours. */
  ofClient(name: string): Facts | undefined {
    const index = this.policy.program.clients.findIndex((client) => client.name === name);
    return this.find((flow) => combine(flow.space, this.clientIs(index + 1), flow.space.acceptedCases(false)));
  }

  /** Mail of nobody in particular to one list or one entry of `domains`, as if it were the only one. */
  ofDomain(match: Members): Facts | undefined {
    const { program } = this.policy;
    const domains = program.domains.slice(0, 1).map((entry) => ({ ...entry, match }));
    const narrowed = new RelayExamples({ ...this.policy, program: { ...program, domains } }, this.policy);
    return narrowed.find((flow) => combine(flow.space, this.clientIs(0), flow.space.acceptedCases(true)));
  }

  private clientIs(client: number): readonly Case[] {
    return ALWAYS.map((one) => ({ ...one, client: cells([client]) }));
  }

  private find(wanted: (flow: Flow) => readonly Case[]): Facts | undefined {
    try {
      const flow = this.made?.flow ?? buildFlow(this.policy);
      this.made ??= { flow, searcher: new Searcher(flow, BUDGET) };
      return this.search(this.made.searcher, flow, wanted(flow));
    } catch (error) {
      if (error instanceof TooManyCases) return undefined;
      throw error;
    }
  }

  private search(searcher: Searcher, flow: Flow, within: readonly Case[]): Facts | undefined {
    // The last one is for everything.
    for (const rule of flow.stages.find(({ name }) => name === 'routing')?.rules.toReversed() ?? []) {
      const result = searcher.search(combine(flow.space, within, rule.cases), { rule, toTheEnd: true, unmoved: true });
      if (result.kind !== 'found') continue;
      const example = exampleOf(this.judged, flow, result.point);
      if (judgeExample(example)?.verdict === 'accept') return example.facts;
    }
    return undefined;
  }
}

/** `…: ip 203.0.113.9, … would be accepted`; nothing, where other rules refuse all such mail. */
export function wouldBe(example: Facts | undefined): string {
  return example === undefined ? '' : `: ${printFacts(example)} would be accepted`;
}
