/** What mail to a destination would meet at this gateway now: route, hosts, what is known of them. */
import type { ResolveQuestion } from '#database';
import type { RouteReport } from '#delivery';
import { judgeNotice } from '#policy';
import type { LivePolicy } from '../policy/policy-holder.js';

export interface ResolveUses {
  readonly currentPolicy: () => LivePolicy | undefined;
  readonly report: (route: string, domain: string) => Promise<RouteReport | undefined>;
  readonly isSuspended: (domain: string) => boolean;
}

export interface ResolveAnswer {
  readonly suspended: boolean;
  /** How the policy in force routes it; absent while none is. */
  readonly decision?: {
    readonly revision: number;
    readonly verdict: string;
    /** After rewriting. */
    readonly recipient: string;
    readonly route?: string;
    /** Fact that a routing rule asks for and that is not known here. */
    readonly unknown?: string;
  };
  /** The route above, and those that queued mail for the domain names. */
  readonly routes: readonly RouteReport[];
  /** Named by queued mail, and not in the policy. */
  readonly missing: readonly string[];
}

/** Routed as mail of the gateway's own making: no client, no content. */
export async function answerResolve(question: ResolveQuestion, use: ResolveUses): Promise<ResolveAnswer> {
  const { domain, facts } = question;
  const live = use.currentPolicy();
  const decision = live === undefined ? undefined : decisionOf(live, { time: new Date().toISOString(), ...facts });
  const names = [...new Set([...(decision?.route === undefined ? [] : [decision.route]), ...question.routes])];
  const target = decision?.recipient.slice(decision.recipient.lastIndexOf('@') + 1).toLowerCase() ?? domain;
  const reports = await Promise.all(names.map((name) => use.report(name, name === decision?.route ? target : domain)));
  return {
    suspended: use.isSuspended(domain),
    ...(decision !== undefined && { decision }),
    routes: reports.flatMap((report) => report ?? []),
    missing: names.filter((_, at) => reports[at] === undefined),
  };
}

function decisionOf(
  { snapshot, recorded }: LivePolicy,
  facts: Readonly<Record<string, string>>,
): NonNullable<ResolveAnswer['decision']> {
  const { verdict, recipient, route, unknown } = judgeNotice(snapshot, facts);
  return {
    revision: recorded.revision,
    verdict,
    recipient,
    ...(route !== undefined && { route }),
    ...(unknown !== undefined && { unknown }),
  };
}
