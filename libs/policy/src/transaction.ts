/** A whole transaction decided from its facts: what was recorded is decided again here, and tests are run. */
import { ClassKeeper, judgeMessage, settleVerdicts } from './judge-message.js';
import { judgeConnect, judgeHelo, judgeMailIn, judgeRecipientIn } from './judge.js';
import { Scope } from './scope.js';
import type { Snapshot } from './snapshot.js';
import type { Step } from './trace.js';
import type { Facts, RecipientDecision, TransactionDecision } from './types.js';

export interface DecideOptions {
  /** Steps that all recipients share are written here. */
  readonly steps?: Step[];
  /** Steps of each recipient; left out, they go to `steps`. */
  readonly recipientSteps?: readonly Step[][];
  /** Whether the content came and was judged; left out, the fact `size` says so. */
  readonly content?: boolean;
  /** Id of a rule that is passed over: what would have been decided without it? */
  readonly without?: string;
}

export function decideTransaction(
  snapshot: Snapshot,
  facts: Facts,
  recipients: readonly Facts[],
  options: DecideOptions = {},
): TransactionDecision {
  const connect = judgeConnect(snapshot, facts);
  const helo = judgeHelo(snapshot, facts);
  const scopeOf = (all: Facts, steps: Step[] | undefined): Scope => {
    const scope = new Scope(snapshot, all, steps);
    scope.overridden = options.without;
    return scope;
  };
  const mail = judgeMailIn(scopeOf(facts, options.steps));
  const keeper = new ClassKeeper(snapshot);
  const stepsOf = (index: number): Step[] | undefined => options.recipientSteps?.[index] ?? options.steps;
  const judged = recipients.map((own, index) => {
    const all = { ...facts, ...own };
    return keeper.admit(all, judgeRecipientIn(scopeOf(all, stepsOf(index)), mail), stepsOf(index));
  });
  const before = { connect, helo, mail };
  const hasContent = options.content ?? 'size' in facts;
  if (!hasContent || snapshot.policy.program.acl.message.length === 0) return { ...before, recipients: judged };
  const withContent = judged.map((decided, index): RecipientDecision => {
    if (decided.verdict !== 'accept') return decided;
    const steps = stepsOf(index);
    return judgeMessage(snapshot, {
      facts: { ...facts, ...recipients[index] },
      decided,
      ...(options.without === undefined ? {} : { overridden: options.without }),
      ...(steps === undefined ? {} : { steps }),
    });
  });
  return { ...before, ...settleAccepted(snapshot, judged, withContent) };
}

/** Only recipients that RCPT TO accepted have a part in the answer after the final dot. */
function settleAccepted(
  snapshot: Snapshot,
  atRcpt: readonly RecipientDecision[],
  decisions: readonly RecipientDecision[],
): Pick<TransactionDecision, 'recipients' | 'refusal'> {
  const accepted = decisions.filter((_, index) => atRcpt[index]?.verdict === 'accept');
  const settled = settleVerdicts(snapshot.policy.program.mixedVerdicts, accepted);
  const rest = [...settled.recipients];
  const recipients = decisions.map((decision, index) =>
    atRcpt[index]?.verdict === 'accept' ? (rest.shift() ?? decision) : decision,
  );
  return settled.refusal === undefined ? { recipients } : { recipients, refusal: settled.refusal };
}
