/**
 * The phase table as a page: `docs/smtp-states.md` is this text, committed and checked.
 */
import { PHASE_TABLE } from './phase-table.js';
import type { Phase } from './phase-table.js';
import { replyFor } from './reply-catalogue.js';

const PHASES: Readonly<Record<Phase, string>> = {
  greeted: 'no EHLO yet, or TLS or XCLIENT has made it forgotten',
  ready: 'after EHLO or HELO, no transaction',
  mail: 'MAIL was accepted, no recipient yet',
  rcpt: 'at least one recipient was accepted',
  chunks: 'content has begun to come by BDAT',
  spoiled: 'a chunk was refused, more may be on their way',
};

const INTRODUCTION = `# States

Which command fits which moment of an inbound session. This page is generated from
\`libs/smtp-core/src/phase-table.ts\`; do not edit it. A number is the reply given at once (see
[replies.md](replies.md)); \`handled\` means that the command is read further: its syntax, what it demands beyond its moment
(an extension that is offered, TLS, authentication), and then what the policy says of it. A refused BDAT is answered when
its octets have been swallowed.

While an answer is awaited, TLS is being established, or content or a SASL response is read, no command is read.
`;

/** Markdown. */
export function renderPhaseTable(): string {
  const phases = Object.keys(PHASES) as Phase[];
  const verbs = Object.keys(PHASE_TABLE.greeted) as (keyof typeof PHASE_TABLE.greeted)[];
  const meanings = phases.map((phase) => `- **${phase}**: ${PHASES[phase]}.`);
  const rows = verbs.map((verb) => `| ${[verb, ...phases.map((phase) => cellText(phase, verb))].join(' | ')} |`);
  const head = [`| Command | ${phases.join(' | ')} |`, `| --- | ${phases.map(() => '---').join(' | ')} |`];
  return `${INTRODUCTION}\n${[...meanings, '', ...head, ...rows].join('\n')}\n`;
}

function cellText(phase: Phase, verb: keyof typeof PHASE_TABLE.greeted): string {
  const cell = PHASE_TABLE[phase][verb];
  return cell === 'handle' ? 'handled' : `${String(replyFor(cell).code)} ${cell}`;
}
