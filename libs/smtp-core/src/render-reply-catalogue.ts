/**
 * The reply catalogue as a page: `docs/replies.md` is this text, committed and checked.
 */
import { REPLIES } from './reply-catalogue.js';

const INTRODUCTION = `# Replies

Every reply Postern's SMTP server utters of its own accord. This page is generated from
\`libs/smtp-core/src/reply-catalogue.ts\`; do not edit it. Replies that a policy words itself, and those of a next hop, are
not in it. The banner and the replies to EHLO and HELO carry no enhanced code (RFC 2034 s4).
`;

/** Markdown. Ordered by code, then by key. */
export function renderReplyCatalogue(): string {
  const entries = Object.entries(REPLIES).sort(([keyA, a], [keyB, b]) => a.code - b.code || (keyA < keyB ? -1 : 1));
  const sections = entries.map(([key, reply]) => {
    const enhanced = 'enhanced' in reply ? ` ${reply.enhanced ?? ''}` : '';
    const line = `${String(reply.code)}${enhanced} ${reply.lines.join(' ')}`;
    return `## ${key}\n\n\`${line}\`\n\nSaid when: ${reply.when}. ${reply.rfc}.\n`;
  });
  return [INTRODUCTION, ...sections].join('\n');
}
