import { Inject, Injectable } from '@nestjs/common';
import type { LivePolicy } from '#database';
import type { CompiledPolicy } from '#policy';
import { DatabaseAccess } from '../database-access.js';
import { Problem } from '../http/problem.js';
import { compileAside } from '../policy-aside.js';
import { POLICY_NAME } from './policy-name.js';

/** The live policy, compiled: compiled once per revision. */
@Injectable()
export class LivePolicyReader {
  private last: { readonly digest: string; readonly policy: CompiledPolicy } | undefined;

  constructor(@Inject(DatabaseAccess) private readonly database: DatabaseAccess) {}

  live(): Promise<LivePolicy | undefined> {
    return this.database.current.policies.live(POLICY_NAME);
  }

  async compiled(): Promise<CompiledPolicy> {
    const live = await this.live();
    if (live === undefined) throw noPolicy();
    if (this.last?.digest === live.digest) return this.last.policy;
    const result = await compileAside(live.source);
    if (!result.ok) {
      throw new Problem(
        'conflict',
        `the live policy, revision ${live.revision}, is not understood by this version; publish one that is`,
      );
    }
    this.last = { digest: live.digest, policy: result.policy };
    return result.policy;
  }
}

export function noPolicy(): Problem {
  return new Problem('not-found', 'no policy is live yet');
}
