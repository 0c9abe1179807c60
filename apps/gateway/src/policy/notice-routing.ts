/** Where a bounce goes: the live policy's rewriting and routing; the right to send it is the gateway's own. */
import type { RecordedFacts } from '#audit';
import type { NoticeRouting } from '#delivery';
import { judgeNotice } from '#policy';
import { outgoingChanges } from '../relay/outgoing-changes.js';
import type { LivePolicy } from './policy-holder.js';

/** Undefined when the policy has no route for it: the bounce is then suppressed, and that is recorded. */
export function routeNotice(live: LivePolicy | undefined, recipient: string, time: string): NoticeRouting | undefined {
  if (live === undefined) return undefined;
  const facts: RecordedFacts = { sender: '', recipient, time };
  const decision = judgeNotice(live.snapshot, facts);
  if (decision.verdict !== 'accept' || decision.route === undefined) return undefined;
  const headerChanges = outgoingChanges(decision);
  return {
    route: decision.route,
    address: decision.recipient,
    policyRevision: live.recorded.revision,
    snapshot: live.recorded,
    by: decision.by,
    facts,
    ...(headerChanges !== undefined && { headerChanges }),
  };
}
