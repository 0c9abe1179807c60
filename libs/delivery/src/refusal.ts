/** Replies that a person or a review gave instead of the next hop (`QueuedMessage.refusal`). */
import type { Reply } from '#smtp-core';
import type { Job } from './job.js';

/** Whatever its age: what fails for the moment now fails for good. */
export function withoutTimeLeft(job: Job): Job {
  return { ...job, route: { ...job.route, retry: { ...job.route.retry, giveUpMs: Number.NEGATIVE_INFINITY } } };
}

/** `550 5.7.1 Text`, as a review or an operator wrote it. */
export function refusalReply(text: string): Reply {
  const [, code = '550', enhanced = '5.7.1', words = text] =
    /^([45]\d\d) ([45]\.\d{1,3}\.\d{1,3}) (.*)$/.exec(text) ?? [];
  return { code: Number(code), enhanced, lines: [words] };
}
