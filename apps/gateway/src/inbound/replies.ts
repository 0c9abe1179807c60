/** Replies that the gateway itself chooses; those of the protocol are in smtp-core's catalogue. */
import type { Decision } from '#policy';
import type { Reply } from '#smtp-core';

export const SERVICE_NOT_READY: Reply = {
  code: 421,
  enhanced: '4.3.2',
  lines: ['Service not available, closing transmission channel'],
};

export function notNow(trace: string): Reply {
  return { code: 451, enhanced: '4.3.0', lines: [`Temporary system problem, try again later [${trace}]`] };
}

export function noRoom(trace: string): Reply {
  return { code: 452, enhanced: '4.3.1', lines: [`Insufficient system storage, try again later [${trace}]`] };
}

export function tooManyRefused(trace: string): Reply {
  return { code: 421, enhanced: '4.7.0', lines: [`Too many refused recipients [${trace}]`] };
}

export function routingLoop(trace: string): Reply {
  return { code: 554, enhanced: '5.4.6', lines: [`Too many hops, this message seems to loop [${trace}]`] };
}

export function accepted(trace: string): Reply {
  return { code: 250, enhanced: '2.0.0', lines: [`Accepted ${trace}`] };
}

/** A refusal by the policy, with the trace that finds it in the audit. */
export function refusal(decision: Pick<Decision, 'reply'>, trace: string): Reply {
  const reply = decision.reply ?? { code: 451, enhanced: '4.3.0', text: 'Temporary system problem' };
  return { code: reply.code, enhanced: reply.enhanced, lines: [`${reply.text} [${trace}]`] };
}

/** The reply as it goes on the wire, lines joined by a blank, without CRLF. */
export function replyText(reply: Reply): string {
  const text = reply.lines.join(' ');
  return reply.enhanced === undefined
    ? `${String(reply.code)} ${text}`
    : `${String(reply.code)} ${reply.enhanced} ${text}`;
}
