/** Words of the notices: subject and the part for people, ours or the policy's. Ours have lines of at most 76 characters. */
import type { NoticeAction } from './notice-wishes.js';

const SUBJECTS: Readonly<Record<NoticeAction, string>> = {
  failed: 'Undelivered mail returned to sender',
  delayed: 'Delayed mail: still being tried',
  relayed: 'Mail handed on without confirmation',
  delivered: 'Mail delivered',
};

export interface NoticeWords {
  readonly action: NoticeAction;
  /** Our own name. */
  readonly gateway: string;
  /** As a date of RFC 5322. */
  readonly retryUntil: string;
  readonly returned: 'header' | 'message';
}

/** Words of an operator; placeholders in braces. Checked by the policy: text without controls, a bounded number of lines. */
export interface OwnWords {
  readonly subject?: string;
  readonly text?: string;
}

export function noticeSubject(words: NoticeWords, own: OwnWords = {}): string {
  return own.subject === undefined ? SUBJECTS[words.action] : filled(own.subject, words);
}

export function noticeText(words: NoticeWords, own: OwnWords = {}): readonly string[] {
  return own.text === undefined ? ourText(words) : filled(own.text.trimEnd(), words).split('\n');
}

/** Once, from left to right: what is put in is never looked at again. */
function filled(text: string, { gateway, retryUntil }: NoticeWords): string {
  return text.replace(/\{(gateway|retry-until)\}/g, (_, name) => (name === 'gateway' ? gateway : retryUntil));
}

function ourText({ action, retryUntil, returned }: NoticeWords): readonly string[] {
  const attached = returned === 'message' ? 'Your message is attached.' : 'The header of your message is attached.';
  switch (action) {
    case 'failed':
      return [
        'Your message could not be delivered to the recipients below. It was not',
        'delivered to them and will not be tried again.',
        attached,
      ];
    case 'delayed':
      return [
        'Your message has not been delivered to the recipients below yet. You need',
        'not send it again: delivery is being tried until',
        `${retryUntil}.`,
        attached,
      ];
    case 'relayed':
      return [
        'You asked to be told of delivery. Your message was handed on to a mail',
        'system that does not confirm delivery, for the recipients below. You will',
        'hear no more of it unless it fails.',
        attached,
      ];
    case 'delivered':
      return ['You asked to be told of delivery. Your message was delivered to the', 'recipients below.', attached];
  }
}
