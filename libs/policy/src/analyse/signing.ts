/** T2: two keys under one name in the DNS; a key for a domain that nobody may write as. */
import type { CompiledPolicy } from '../compiled.js';
import { joinPointer, type Findings } from '../findings.js';
import type { Client, Condition, Grant, ListSlot, Members, SigningRule } from '../program.js';

export function analyseSigning(policy: CompiledPolicy, findings: Findings): void {
  const { signing, sealing, clients, lists } = policy.program;
  reportTwice([...signing, ...sealing], findings);
  for (const rule of signing) {
    const { domain } = rule.signature;
    const named = clients.filter((client) => rule.when.every((condition) => allows(condition, client.name)));
    if (named.some((client) => mayWriteAs(client, domain, lists))) continue;
    findings.warns('T2', joinPointer(rule.pointer, 'domain'), nobody(rule, named));
  }
}

/** One name in the DNS has one key. It may sign and seal. */
function reportTwice(rules: readonly SigningRule[], findings: Findings): void {
  for (const [index, rule] of rules.entries()) {
    const { domain, selector, secret } = rule.signature;
    const isSecond = (earlier: SigningRule): boolean =>
      earlier.id === rule.id ||
      (earlier.signature.domain === domain &&
        earlier.signature.selector === selector &&
        earlier.signature.secret !== secret);
    if (rules.slice(0, index).some(isSecond)) {
      const message = `a second key for \`${domain}\` with the selector \`${selector}\`, expected a selector of its own: one name in the DNS publishes one key`;
      findings.blocks('T2', joinPointer(rule.pointer, 'selector'), message);
    }
  }
}

function nobody({ signature: { domain }, when }: SigningRule, named: readonly Client[]): string {
  const who = when.some(({ fact }) => fact.name === 'client') ? 'no client that it is for' : 'no client';
  const why = named.length === 0 ? '' : `, their \`senders\` are others`;
  return `${who} may write as \`${domain}\`${why}: its key signs nothing but notices of this gateway, if it is within the domain`;
}

/** Whether a condition leaves a client in question. */
function allows({ fact, set, negated }: Condition, name: string): boolean {
  if (fact.name !== 'client' || set.kind !== 'words') return true;
  return set.words.has(name) !== negated;
}

/** Whoever has no `senders` may write as anybody. What is not known here counts as yes. */
function mayWriteAs({ senders }: Client, domain: string, lists: readonly ListSlot[]): boolean {
  if (senders === undefined || senders.ownIdentities) return true;
  return textsOf(senders, lists).some((text) => text === undefined || meets(text, domain));
}

function textsOf({ domains, addresses }: Grant, lists: readonly ListSlot[]): readonly (string | undefined)[] {
  return [domains, addresses].flatMap(({ literalTexts, slots }: Members): readonly (string | undefined)[] => [
    ...literalTexts,
    ...slots.flatMap((slot): readonly (string | undefined)[] => {
      const list = lists[slot];
      return list?.inline === undefined || list.type === 'regex' ? [undefined] : list.entries;
    }),
  ]);
}

/** Whether an entry (`example.com`, `.example.com`, `*@example.com`, an address) has something at or below the domain. */
function meets(entry: string, domain: string): boolean {
  const own = entry.slice(entry.lastIndexOf('@') + 1);
  const bare = own.startsWith('.') ? own.slice(1) : own;
  if (bare === domain || bare.endsWith(`.${domain}`)) return true;
  return own.startsWith('.') && domain.endsWith(own);
}
