/** After a publish: whether the gateways that live run it. One that cannot (a port in use, a foreign address) keeps the old. */
import { setTimeout as pause } from 'node:timers/promises';
import type { CommandContext } from '../context.js';
import { safe } from '../text.js';

interface GatewayRevision {
  readonly name: string;
  readonly alive: boolean;
  readonly revision?: number;
  readonly refused?: { readonly revision: number; readonly reason: string };
}

const PATIENCE_MS = 3_000;
const EVERY_MS = 100;

/** Lines about gateways that do not run the revision after a while; none when all do. */
export async function notInForce(context: CommandContext, revision: number): Promise<readonly string[]> {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const behind = (await gateways(context)).filter((gateway) => gateway.alive && gateway.revision !== revision);
    if (behind.length === 0) return [];
    const decided = behind.every((gateway) => gateway.refused?.revision === revision);
    if (decided || Date.now() > end) return behind.map((gateway) => line(gateway, revision));
    await pause(EVERY_MS);
  }
}

/** The publish is done; that nobody can be asked about it now does not undo it. */
async function gateways(context: CommandContext): Promise<readonly GatewayRevision[]> {
  try {
    return (await context.api().json<{ data: readonly GatewayRevision[] }>({ path: '/v1/gateways' })).data;
  } catch {
    return [];
  }
}

function line({ name, revision: running, refused }: GatewayRevision, revision: number): string {
  const now = running === undefined ? 'no policy' : `revision ${running}`;
  if (refused?.revision === revision) {
    return safe(`gateway ${name} does not take revision ${revision} and still runs ${now}: ${refused.reason}`);
  }
  return `gateway ${name} still runs ${now}: its log says why it does not load revision ${revision}`;
}
