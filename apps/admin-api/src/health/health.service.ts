import { Inject, Injectable } from '@nestjs/common';
import { OperationalError } from '#database';
import { DatabaseAccess } from '../database-access.js';
import { POLICY_NAME } from '../policies/policy-name.js';

@Injectable()
export class HealthService {
  constructor(@Inject(DatabaseAccess) private readonly database: DatabaseAccess) {}

  async whatIsMissing(): Promise<string | undefined> {
    try {
      const live = await this.database.current.policies.live(POLICY_NAME);
      return live === undefined ? 'no policy is live' : undefined;
    } catch (error) {
      if (error instanceof OperationalError) return 'the database does not answer';
      throw error;
    }
  }
}
