/** T3: TLS of a route is weaker than the policy's floor, or credentials go where TLS has proven nothing. */
import type { CompileContext } from '../compile/context.js';
import type { CompiledPolicy } from '../compiled.js';
import { joinPointer, type Findings } from '../findings.js';
import { TLS_REQUIREMENTS } from '../route-types.js';
import type { RouteDefinition, TlsRequirement } from '../route-types.js';

type SmtpRoute = Extract<RouteDefinition, { kind: 'hosts' | 'mx' }>;

export function analyseRouteTls(context: CompileContext, policy: CompiledPolicy, findings: Findings): void {
  const floor = context.document.settings?.['tls-floor'];
  for (const route of policy.routes.values()) {
    if (route.kind !== 'hosts' && route.kind !== 'mx') continue;
    // A profile that does not exist was told of.
    const written = context.document.routes[route.name]?.tls;
    if (written !== undefined && route.tls === undefined) continue;
    if (floor !== undefined) checkFloor(route, floor, findings);
    checkAuth(route, findings);
    if (written === undefined && route.kind === 'mx') {
      const message = `mail leaves by \`${route.name}\` in plaintext, \`tls: NAME\` says how it should (\`opportunistic\` asks nothing of the hosts)`;
      findings.informs('T3', joinPointer('/routes', route.name), message);
    }
  }
}

function checkFloor(route: SmtpRoute, floor: TlsRequirement, findings: Findings): void {
  const has = route.tls?.require ?? 'none';
  if (TLS_REQUIREMENTS.indexOf(has) >= TLS_REQUIREMENTS.indexOf(floor)) return;
  const at = joinPointer('/routes', route.name, ...(route.tls === undefined ? [] : ['tls']));
  const message = `route \`${route.name}\` requires \`${has}\`, expected at least the \`tls-floor\` \`${floor}\``;
  findings.blocks('T3', at, message);
}

function checkAuth(route: SmtpRoute, findings: Findings): void {
  if (route.auth === undefined || route.auth.unverifiedTls || route.tls?.require === 'verified') return;
  const message =
    `route \`${route.name}\` signs in without verified TLS, expected a \`tls\` profile with \`require: verified\`, ` +
    'or `unverified-tls: allowed` beside the password';
  findings.blocks('T3', joinPointer('/routes', route.name, 'auth'), message);
}
