/** `settings` → what the gateway uses as it is. */
import type { AcceptedDomain } from '../program.js';
import type { PolicyLimits } from '../types.js';
import { parseDomain } from '../values/domains.js';
import { parseDurationMs, parseSizeBytes } from '../values/units.js';
import type { CompileContext } from './context.js';
import { isAccepted } from './parties.js';

const MIN_MESSAGE_SIZE = 65_536;
const MAX_MESSAGE_SIZE = 2_000_000_000;

export function compileLimits(context: CompileContext): PolicyLimits {
  const settings = context.document.settings ?? {};
  const text = settings['max-message-size'];
  const sizeBytes = text === undefined ? undefined : parseSizeBytes(text);
  if (sizeBytes !== undefined && (sizeBytes < MIN_MESSAGE_SIZE || sizeBytes > MAX_MESSAGE_SIZE)) {
    context.findings.blocks(
      'D3',
      '/settings/max-message-size',
      `\`${text ?? ''}\` is out of range, expected \`64KiB\` to \`2GB\``,
    );
  }
  return {
    maxMessageSizeBytes: sizeBytes ?? 50_000_000,
    maxRecipients: settings['max-recipients'] ?? 1000,
    maxConnections: settings['max-connections'] ?? 1000,
    maxConnectionsPerAddress: settings['max-connections-per-address'] ?? 200,
  };
}

const DAY_MS = 86_400_000;
/** The days of mail that is still being delivered are never dropped. */
const FEWEST_DAYS = 6;
const MOST_DAYS = 36_500;

export function compileAuditDays(context: CompileContext): number | undefined {
  const text = context.document.settings?.audit?.retain;
  if (text === undefined) return undefined;
  const days = (parseDurationMs(text) ?? 0) / DAY_MS;
  if (!Number.isInteger(days) || days < FEWEST_DAYS || days > MOST_DAYS) {
    const message = `\`${text}\` can not be kept, expected whole days from \`6d\` to \`36500d\``;
    context.findings.blocks('D3', '/settings/audit/retain', message);
  }
  return days;
}

export function compilePostmasterDomain(
  context: CompileContext,
  domains: readonly AcceptedDomain[],
  first: string | undefined,
): string | undefined {
  const text = context.document.settings?.['postmaster-domain'];
  if (text === undefined) return first;
  const pointer = '/settings/postmaster-domain';
  const domain = parseDomain(text);
  if (!domain.ok) {
    context.findings.blocks('D3', pointer, domain.message, domain.fix);
    return undefined;
  }
  if (!isAccepted(context, domains, domain.domain)) {
    context.findings.blocks(
      'D7',
      pointer,
      `\`${domain.domain}\` is not an accepted domain, expected one of \`domains\``,
    );
  }
  return domain.domain;
}
