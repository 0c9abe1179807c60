import { Inject, Injectable } from '@nestjs/common';
import type { ChainFault } from '#audit';
import { DatabaseAccess } from '../database-access.js';
import { readCursor, writeCursor } from '../http/page.js';
import type { PageQuery } from '../http/page.dto.js';
import { Problem } from '../http/problem.js';
import type { AuditFaultDto, CheckpointPageDto, SignedCheckpointDto, VerifyReportDto } from './audit.dto.js';
import { EVIDENCE, type Evidence } from './evidence.js';

@Injectable()
export class AuditService {
  private running = false;

  constructor(
    @Inject(DatabaseAccess) private readonly database: DatabaseAccess,
    @Inject(EVIDENCE) private readonly evidence: Evidence,
  ) {}

  async checkpoints(search: PageQuery): Promise<CheckpointPageDto> {
    const after = readCursor(search.after, (text) => /^\d+\.\d+\./u.test(text));
    const given = { limit: search.limit, ...(after !== undefined && { after }) };
    const page = await this.database.current.audit.checkpoints.list(given);
    const keys = [...(await this.evidence.keys())].map(([fingerprint, key]) => ({
      fingerprint,
      pem: key.export({ type: 'spki', format: 'pem' }).toString(),
    }));
    return {
      data: page.data.map(({ madeAt, ...checkpoint }) => ({ ...checkpoint, madeAt: madeAt.toISOString() })),
      keys,
      ...(page.next !== undefined && { next: writeCursor(page.next) }),
    };
  }

  /** One at a time: it reads the whole audit. */
  async verify(given: readonly SignedCheckpointDto[], signal: AbortSignal): Promise<VerifyReportDto> {
    if (this.running) throw new Problem('conflict', 'the audit is being verified already: wait for it to end');
    this.running = true;
    try {
      const keys = await this.evidence.keys();
      const kept = both(given, this.evidence.checkpoints());
      const { faults, since, ...figures } = await this.database.current.audit.verify({ keys, kept, signal });
      const told = faults.map(faultDto);
      const [first] = told;
      return {
        ...figures,
        unknownKeys: [...figures.unknownKeys],
        since: since.toISOString(),
        faults: told,
        ...(first !== undefined && { first }),
      };
    } finally {
      this.running = false;
    }
  }
}

async function* both<T>(some: Iterable<T>, more: AsyncIterable<T>): AsyncGenerator<T> {
  yield* some;
  yield* more;
}

function faultDto({ kind, message, atMs, node, chain, sequence, blockId, rowId }: ChainFault): AuditFaultDto {
  return {
    kind,
    message,
    at: new Date(atMs).toISOString(),
    ...(node !== undefined && { node }),
    ...(chain !== undefined && { chain }),
    ...(sequence !== undefined && { sequence }),
    ...(blockId !== undefined && { block: blockId }),
    ...(rowId !== undefined && { row: rowId }),
  };
}
