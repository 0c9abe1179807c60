import type { CommandContext } from './context.js';

/** Long work of the API, as `/v1/operations/{id}` tells of it. */
export interface OperationAnswer {
  readonly id: string;
  readonly kind: string;
  readonly state: string;
  readonly done: number;
  readonly total?: number;
  readonly result?: Readonly<Record<string, unknown>>;
  readonly problem?: { readonly detail?: string };
}

const POLL_MS = 200;
const TOLD_EVERY_MS = 2_000;

/** Waits for its end, and says on standard error now and then how far it is. */
export async function followOperation(context: CommandContext, begun: OperationAnswer): Promise<OperationAnswer> {
  let operation = begun;
  let toldAtMs = Date.now();
  while (operation.state === 'running') {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    operation = await context.api().json<OperationAnswer>({ path: `/v1/operations/${encodeURIComponent(begun.id)}` });
    if (context.json() || Date.now() - toldAtMs < TOLD_EVERY_MS) continue;
    toldAtMs = Date.now();
    context.terminal.err([`${operation.kind}: ${String(operation.done)} of ${String(operation.total ?? '?')}`]);
  }
  return operation;
}
