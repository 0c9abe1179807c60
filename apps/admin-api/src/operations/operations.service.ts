import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import type { Logger } from 'pino';
import { parsePublicId, publicId } from '#audit';
import type { Operation } from '#database';
import { DatabaseAccess } from '../database-access.js';
import type { Fields } from '../http/fields.js';
import { readCursor, writeCursor } from '../http/page.js';
import type { PageQuery } from '../http/page.dto.js';
import { Problem } from '../http/problem.js';
import { LOGGER } from '../logger.js';
import type { OperationDto, OperationPageDto } from './operation.dto.js';
import { RunningOperation, type OperationWork } from './running-operation.js';

/** Work that takes longer than a request: begun here, done in this process, told to whoever asks any process. */
@Injectable()
export class OperationsService implements OnApplicationShutdown {
  readonly #running = new Map<string, { readonly operation: RunningOperation; readonly ended: Promise<void> }>();

  constructor(
    @Inject(DatabaseAccess) private readonly database: DatabaseAccess,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /**
   * Begins `work` and answers at once; `id` gives the operation an id that was made before (for what is kept under it).
   * What work throws as a `Problem` becomes the operation's.
   */
  async start(kind: string, actor: string, work: OperationWork, id?: string): Promise<OperationDto> {
    const begun = await this.database.current.operations.begin({ kind, actor, ...(id !== undefined && { id }) });
    const operation = new RunningOperation(begun, () => this.database.current);
    const ended = operation.carryOut(work).then((fault) => {
      this.#running.delete(begun.id);
      if (fault !== undefined) this.logger.error({ err: fault, operation: begun.id, kind }, 'an operation failed');
    });
    this.#running.set(begun.id, { operation, ended });
    return operationDto(begun);
  }

  async get(text: string): Promise<OperationDto> {
    return operationDto(await this.#find(text, (id) => this.database.current.operations.get(id)));
  }

  async list(query: PageQuery): Promise<OperationPageDto> {
    const after = readCursor(query.after, (text) => /^[0-9a-f-]{36}$/u.test(text));
    const page = await this.database.current.operations.list({
      limit: query.limit,
      ...(after !== undefined && { after }),
    });
    return { data: page.data.map(operationDto), ...(page.next !== undefined && { next: writeCursor(page.next) }) };
  }

  /** Asks it to stop; it has stopped when its state says so. */
  async cancel(text: string, actor: string): Promise<OperationDto> {
    const asked = await this.#find(text, (id) => this.database.current.operations.cancel(id, actor));
    if (asked.state !== 'running') {
      throw new Problem('conflict', `the operation is over: it is \`${asked.state}\``);
    }
    this.#running.get(asked.id)?.operation.stop('cancelled');
    return operationDto(asked);
  }

  async onApplicationShutdown(): Promise<void> {
    const running = [...this.#running.values()];
    for (const { operation } of running) operation.stop('interrupted');
    await Promise.all(running.map(({ ended }) => ended));
  }

  async #find(text: string, ask: (id: string) => Promise<Operation | undefined>): Promise<Operation> {
    const id = parsePublicId('opr', text);
    const found = id === undefined ? undefined : await ask(id);
    if (found === undefined) throw new Problem('not-found', 'there is no such operation');
    return found;
  }
}

function operationDto(operation: Operation): Fields<OperationDto> {
  const { id, kind, actor, state, done, total, result, problem, cancelRequestedBy, startedAt, endedAt } = operation;
  return {
    id: publicId('opr', id),
    kind,
    actor,
    state,
    done,
    ...(total !== undefined && { total }),
    ...(result !== undefined && { result }),
    ...(problem !== undefined && { problem }),
    ...(cancelRequestedBy !== undefined && { cancelRequestedBy }),
    startedAt: startedAt.toISOString(),
    ...(endedAt !== undefined && { endedAt: endedAt.toISOString() }),
  };
}
