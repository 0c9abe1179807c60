/** `limits` of a route → numbers, and where they have no meaning. */
import type { RouteDocument } from '../document-routes.js';
import { joinPointer } from '../findings.js';
import type { RouteLimits, RouteRates } from '../route-types.js';
import { parseDurationMs } from '../values/units.js';
import type { CompileContext } from './context.js';

const DEFAULT_CONNECTIONS = 20;
const LONGEST_PER_MS = 86_400_000;
const RATES = ['messages', 'recipients'] as const;

type Written = NonNullable<RouteDocument['limits']>;

export function compileRouteLimits(context: CompileContext, route: RouteDocument, pointer: string): RouteLimits {
  const written = route.limits ?? {};
  const at = joinPointer(pointer, 'limits');
  const { together } = written;
  if (route.hosts === undefined && route.mx === undefined) {
    for (const key of [...RATES, 'together'] as const) refuse(context, written, { key, at, where: '`hosts` or `mx`' });
  } else if (route.mx === undefined) refuse(context, written, { key: 'together', at, where: '`mx`' });
  return {
    connections: written.connections ?? DEFAULT_CONNECTIONS,
    ...compileRates(context, written, at),
    ...(together !== undefined && {
      together: {
        ...(together.connections !== undefined && { connections: together.connections }),
        ...compileRates(context, together, joinPointer(at, 'together')),
      },
    }),
  };
}

function refuse(
  context: CompileContext,
  written: Written,
  { key, at, where }: { readonly key: keyof Written; readonly at: string; readonly where: string },
): void {
  if (written[key] === undefined) return;
  const message = `\`${key}\` has no meaning here, expected it with ${where} only`;
  context.findings.blocks('D3', joinPointer(at, key), message);
}

function compileRates(context: CompileContext, written: Omit<Written, 'together'>, at: string): RouteRates {
  const rates: { messages?: { max: number; perMs: number }; recipients?: { max: number; perMs: number } } = {};
  for (const key of RATES) {
    const rate = written[key];
    if (rate === undefined) continue;
    const perMs = parseDurationMs(rate.per) ?? 0;
    if (perMs < 1000 || perMs > LONGEST_PER_MS) {
      const message = `\`${rate.per}\` is not a time to count over, expected one from \`1s\` to \`1d\``;
      context.findings.blocks('D3', joinPointer(at, key, 'per'), message);
    }
    rates[key] = { max: rate.max, perMs: Math.max(1000, perMs) };
  }
  return rates;
}
