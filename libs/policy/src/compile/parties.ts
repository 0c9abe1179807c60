/** `clients`, `domains` and `rewriting`: the declarative tables from which relay rights come, and only from them. */
import { joinPointer } from '../findings.js';
import type { AcceptedDomain, Client, Condition, Members, Rewriting } from '../program.js';
import { parseAddress, splitAddress } from '../values/addresses.js';
import { parseDomain } from '../values/domains.js';
import { RESERVED_NAMES } from '../vocabulary.js';
import { compileConditions } from './conditions.js';
import type { CompileContext } from './context.js';
import { compileGrant, compileMembers, useList } from './members.js';
import { checkUnique } from './rules.js';

export function compileClients(context: CompileContext): readonly Client[] {
  const clients = context.document.clients ?? [];
  checkUnique(
    context,
    clients.map((client) => client.name),
    (index) => joinPointer('/clients', index, 'name'),
  );
  return clients.map((client, index) => {
    const pointer = joinPointer('/clients', index);
    if (RESERVED_NAMES.includes(client.name)) {
      context.findings.blocks(
        'D5',
        joinPointer(pointer, 'name'),
        `\`${client.name}\` has a meaning of its own, expected another name for the client`,
      );
    }
    const grant = `the right to be client \`${client.name}\``;
    const match = compileConditions(context, client.match, joinPointer(pointer, 'match'), { grant });
    const relay =
      client.relay === undefined || client.relay === 'anywhere'
        ? client.relay
        : compileGrant(context, client.relay.to, joinPointer(pointer, 'relay', 'to'), {
            right: `relay for client \`${client.name}\``,
          });
    const senders =
      client.senders === undefined
        ? undefined
        : compileGrant(context, client.senders, joinPointer(pointer, 'senders'), {
            right: `senders of client \`${client.name}\``,
            identities: true,
          });
    if (senders?.ownIdentities === true && !match.some(meansSignedIn)) {
      const message = `\`own-identities\` are those of an account, but client \`${client.name}\` need not sign in, expected \`auth\` in its \`match\``;
      context.findings.blocks('D7', joinPointer(pointer, 'senders'), message);
    }
    return {
      name: client.name,
      match,
      ...(relay === undefined ? {} : { relay }),
      ...(senders === undefined ? {} : { senders }),
      pointer,
    };
  });
}

/** A condition that holds only for somebody who has signed in. */
export function meansSignedIn({ fact, negated, none }: Condition): boolean {
  return fact.name === 'auth' && !negated && !none;
}

export function compileDomains(context: CompileContext): readonly AcceptedDomain[] {
  return (context.document.domains ?? []).map((entry, index) => {
    const pointer = joinPointer('/domains', index);
    const match = compileMembers(context, entry.match, joinPointer(pointer, 'match'), {
      lists: ['domain', 'regex'],
      literal: 'domain',
      grant: 'accepted domains',
    });
    const at = joinPointer(pointer, 'recipients');
    if (entry.recipients === 'any') {
      if (entry.reason === undefined) {
        context.findings.blocks(
          'D2',
          at,
          '`recipients: any` accepts mail for people who do not exist, expected a `reason` beside it',
        );
      }
      return { match, recipientsManaged: false, pointer };
    }
    const slot = useList(context, entry.recipients, at, { lists: ['address'], literal: 'address' });
    const managed = slot !== undefined && context.slots[slot]?.inline === undefined;
    return { match, ...(slot === undefined ? {} : { recipients: slot }), recipientsManaged: managed, pointer };
  });
}

/** The first whole domain of the first entry: bare `postmaster` belongs there unless a setting says otherwise. */
export function firstDomain(context: CompileContext, domains: readonly AcceptedDomain[]): string | undefined {
  const first = domains[0];
  if (first === undefined) return undefined;
  return membersTexts(context, first.match).find((text) => !text.startsWith('.'));
}

export function membersTexts(context: Pick<CompileContext, 'slots'>, members: Members): readonly string[] {
  const listed = members.slots.flatMap((slot) => {
    const list = context.slots[slot];
    return list === undefined || list.type === 'regex' ? [] : list.entries;
  });
  return [...listed, ...members.literalTexts];
}

export function compileRewriting(context: CompileContext, domains: readonly AcceptedDomain[]): readonly Rewriting[] {
  const entries = context.document.rewriting ?? [];
  checkUnique(
    context,
    entries.map((entry) => entry.name),
    (index) => joinPointer('/rewriting', index, 'name'),
  );
  const compiled: Rewriting[] = [];
  for (const [index, entry] of entries.entries()) {
    const pointer = joinPointer('/rewriting', index);
    const from = parseAddress(entry.recipient.from, true);
    if (!from.ok) context.findings.blocks('D3', joinPointer(pointer, 'recipient', 'from'), from.message, from.fix);
    const to = parseTarget(context, entry.recipient.to, joinPointer(pointer, 'recipient', 'to'));
    if (!from.ok || to === undefined) continue;
    const external = entry.external === 'allowed';
    if (!external && !isAccepted(context, domains, to.domain)) {
      const message = `\`${to.domain}\` is not an accepted domain, expected one of \`domains\`, or \`external: allowed\` beside it`;
      context.findings.blocks('D7', joinPointer(pointer, 'recipient', 'to'), message);
    }
    if (external) {
      context.findings.informs(
        'R5',
        pointer,
        `forwarder: mail for \`${from.address}\` leaves to \`${to.local}@${to.domain}\` for everybody`,
      );
    }
    compiled.push({
      id: `rewriting/${entry.name}`,
      fromLocal: from.local.toLowerCase(),
      fromDomain: from.domain,
      toLocal: to.local,
      toDomain: to.domain,
      external,
      pointer,
    });
  }
  return compiled;
}

function parseTarget(
  context: CompileContext,
  text: string,
  pointer: string,
): { local: string; domain: string } | undefined {
  const parts = splitAddress(text);
  if (parts?.local === '{local}') {
    const domain = parseDomain(parts.domain);
    if (domain.ok) return { local: '{local}', domain: domain.domain };
    context.findings.blocks('D3', pointer, domain.message, domain.fix);
    return undefined;
  }
  const to = parseAddress(text);
  if (to.ok && !/[{}]/.test(to.local)) return { local: to.local, domain: to.domain };
  const message = to.ok ? `\`${text}\` is not a target, expected an address or \`{local}@domain\`` : to.message;
  context.findings.blocks('D3', pointer, message);
  return undefined;
}

/** Whether some inline entry accepts the domain. Managed and regex lists can't be known here: they count as yes. */
export function isAccepted(
  context: Pick<CompileContext, 'slots'>,
  domains: readonly AcceptedDomain[],
  domain: string,
): boolean {
  return domains.some(({ match }) => {
    if (match.literals?.match(domain, false) !== undefined) return true;
    return match.slots.some((slot) => {
      const inline = context.slots[slot]?.inline;
      return inline === undefined || inline.match(domain, false) !== undefined;
    });
  });
}
