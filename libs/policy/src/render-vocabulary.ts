/** The reference part of docs/policy.md, written from the vocabulary. */
import { ACL_PHASES, FACT_ROWS, PHASE_TABLE, PHASES, type FactDefinition } from './vocabulary.js';

function compared(fact: FactDefinition): string {
  if (fact.type === 'enum') return (fact.values ?? []).map((value) => `\`${value}\``).join(', ');
  if (fact.type === 'name') return `names of a ${fact.names ?? ''}`;
  const lists = fact.lists.length === 0 ? '' : `; lists of type ${fact.lists.map((type) => `\`${type}\``).join(', ')}`;
  return `${fact.type}${lists}`;
}

function codes(allowed: readonly number[] | undefined, otherwise: string): string {
  return allowed === undefined ? otherwise : allowed.map(String).join(', ');
}

/** Two Markdown tables: facts, and what each phase may answer. */
export function renderVocabulary(): string {
  const facts = FACT_ROWS.map(
    (fact) =>
      `| \`${fact.name}\` | ${fact.phase} | ${fact.meaning} | ${compared(fact)} | \`${fact.name}: ${fact.example}\` |`,
  );
  const phases = ACL_PHASES.map((phase) => {
    const row = PHASE_TABLE[phase];
    const texts = row.placeholders.map((name) => `\`{${name}}\``).join(', ');
    const words = (names: readonly string[]): string => names.map((name) => `\`${name}\``).join(', ');
    return `| \`${phase}\` | ${row.meaning} | ${words(row.verdicts)} | ${words(row.effects)} | ${codes(row.rejectCodes, '5xx')} | ${codes(row.deferCodes, '4xx')} | ${texts} |`;
  });
  return [
    `Facts are known from their phase on (${PHASES.join(', ')}).`,
    '',
    '| Fact | From | Meaning | Compared with | Example |',
    '|---|---|---|---|---|',
    ...facts,
    '',
    '| Phase | Judged | Verdicts | Effects | `reject` | `defer` | In texts |',
    '|---|---|---|---|---|---|---|',
    ...phases,
    '',
  ].join('\n');
}
