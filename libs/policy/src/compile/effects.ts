/** What message and rcpt rules do besides judging: changes to the header, other recipients, review queues, copies. */
import { parseDurationMs } from '../values/units.js';
import { joinPointer } from '../findings.js';
import type { AcceptedDomain, CopyRule, Rule } from '../program.js';
import type { RuleDocument } from '../document.js';
import type { HeaderEdit, ReviewQueue } from '../types.js';
import { parseAddress } from '../values/addresses.js';
import { compileConditions } from './conditions.js';
import type { CompileContext } from './context.js';
import { isAccepted } from './parties.js';
import { checkUnique, compileExpiry, oneOrMany } from './rules.js';

export type Effects = Pick<Rule, 'headers' | 'addRecipients'> & { readonly redirect?: string };

/** The queue that is there without being declared. */
export const MIXED_QUEUE: ReviewQueue = { name: 'mixed', expireMs: 14 * 86_400_000, onExpire: 'return-to-sender' };

/** RFC 5322 s2.2, and what other programs still take. */
const FIELD_NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;
/** Fields that say how content is read, or where it came from: changing them makes other mail of it. */
const UNTOUCHABLE = /^(?:received|return-path|mime-version|content-.*|dkim-signature|arc-.*|bcc)$/i;
/** May be removed; whoever reads it believes that it was checked. */
const OURS_TO_WRITE = /^authentication-results$/i;
const FIELD_VALUE = /^[ -~]*$/;

export function compileEffects(
  context: CompileContext,
  rule: RuleDocument,
  pointer: string,
  domains: readonly AcceptedDomain[],
): Effects {
  const headers = [
    ...headerEdits(context, 'set', rule['set-header'], joinPointer(pointer, 'set-header')),
    ...headerEdits(context, 'add', rule['add-header'], joinPointer(pointer, 'add-header')),
    ...oneOrMany(rule['remove-header']).flatMap((name) =>
      checkField(context, name, joinPointer(pointer, 'remove-header')) ? [{ op: 'remove' as const, name }] : [],
    ),
  ];
  checkOncePerField(context, rule, headers, pointer);
  const target = { context, domains, external: rule.external === 'allowed' };
  const addRecipients = oneOrMany(rule['add-recipient']).flatMap((text) =>
    readTarget(target, text, joinPointer(pointer, 'add-recipient')),
  );
  const [redirect] =
    rule.redirect === undefined ? [] : readTarget(target, rule.redirect, joinPointer(pointer, 'redirect'));
  if (rule.external !== undefined && rule.redirect === undefined && rule['add-recipient'] === undefined) {
    context.findings.blocks(
      'D7',
      joinPointer(pointer, 'external'),
      '`external: allowed` lifts a bound on `redirect` and `add-recipient`, expected one of them beside it',
    );
  }
  return { headers, addRecipients, ...(redirect === undefined ? {} : { redirect }) };
}

function headerEdits(
  context: CompileContext,
  op: 'set' | 'add',
  fields: Readonly<Record<string, string>> | undefined,
  pointer: string,
): HeaderEdit[] {
  return Object.entries(fields ?? {}).flatMap(([name, value]) => {
    const at = joinPointer(pointer, name);
    if (!checkField(context, name, at)) return [];
    if (OURS_TO_WRITE.test(name)) {
      const message = `\`${name}\` tells what the gateway itself has found out, expected another field`;
      context.findings.blocks('D7', at, message);
      return [];
    }
    if (FIELD_VALUE.test(value) && value.trim() === value) return [{ op, name, value }];
    const message = `the value of \`${name}\` must be printable ASCII in one line without space around it`;
    context.findings.blocks('D3', at, message);
    return [];
  });
}

function checkField(context: CompileContext, name: string, pointer: string): boolean {
  if (!FIELD_NAME.test(name)) {
    context.findings.blocks(
      'D3',
      pointer,
      `\`${name}\` is not the name of a header field, expected such as \`X-Origin\``,
    );
    return false;
  }
  if (!UNTOUCHABLE.test(name)) return true;
  context.findings.blocks(
    'D7',
    pointer,
    `\`${name}\` says how or whence mail came and how it is read, expected another field`,
  );
  return false;
}

function checkOncePerField(
  context: CompileContext,
  rule: RuleDocument,
  headers: readonly HeaderEdit[],
  pointer: string,
): void {
  const names = headers.map(({ name }) => name.toLowerCase());
  const twice = names.find((name, index) => names.indexOf(name) < index);
  if (twice !== undefined) {
    context.findings.blocks('D7', pointer, `rule \`${rule.name}\` changes \`${twice}\` twice, expected one change`);
  }
}

interface TargetRules {
  readonly context: CompileContext;
  readonly domains: readonly AcceptedDomain[];
  readonly external: boolean;
}

/** Nobody may make us write to a stranger by an effect. */
function readTarget({ context, domains, external }: TargetRules, text: string, pointer: string): readonly string[] {
  const parsed = parseAddress(text);
  if (!parsed.ok) {
    context.findings.blocks('D3', pointer, parsed.message, parsed.fix);
    return [];
  }
  if (external) {
    context.findings.informs(
      'R5',
      pointer,
      `forwarder: mail leaves to \`${parsed.address}\` for whomever the rule holds`,
    );
  } else if (!isAccepted(context, domains, parsed.domain)) {
    const message = `\`${parsed.domain}\` is not an accepted domain, expected one of \`domains\`, or \`external: allowed\` beside it`;
    context.findings.blocks('D7', pointer, message);
  }
  return [parsed.address];
}

export function compileReviewQueues(context: CompileContext): ReadonlyMap<string, ReviewQueue> {
  const queues = new Map([[MIXED_QUEUE.name, MIXED_QUEUE]]);
  for (const [name, queue] of Object.entries(context.document['review-queues'] ?? {})) {
    const onExpire = queue['on-expire'];
    if (onExpire === 'discard' && queue.reason === undefined) {
      const at = joinPointer('/review-queues', name, 'on-expire');
      context.findings.blocks(
        'D2',
        at,
        '`on-expire: discard` loses mail that nobody saw, expected a `reason` beside it',
      );
    }
    queues.set(name, { name, expireMs: parseDurationMs(queue.expire) ?? MIXED_QUEUE.expireMs, onExpire });
  }
  return queues;
}

export function compileCopies(context: CompileContext): readonly CopyRule[] {
  const copies = context.document.copies ?? [];
  checkUnique(
    context,
    copies.map((copy) => copy.name),
    (index) => joinPointer('/copies', index, 'name'),
  );
  return copies.map((copy, index) => {
    const pointer = joinPointer('/copies', index);
    context.requireName('route', copy.route, joinPointer(pointer, 'route'), 'T1');
    const expiresAtMs = compileExpiry(context, copy.expires, pointer);
    return {
      id: `copies/${copy.name}`,
      when: compileConditions(context, copy.when, joinPointer(pointer, 'when')),
      unless: compileConditions(context, copy.unless, joinPointer(pointer, 'unless')),
      route: copy.route,
      ...(expiresAtMs === undefined ? {} : { expiresAtMs }),
      pointer,
    };
  });
}
