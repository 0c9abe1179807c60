import { describe, expect, it } from '@jest/globals';
import { isConnectionError, sqlState, toOperationalError } from './operational-error.js';

const raised = (code: string): Error => Object.assign(new Error(`raised ${code}`), { code });

describe('operational errors', () => {
  it.each(['EPIPE', 'ECONNRESET', 'ETIMEDOUT'])('%s is a lost connection with an unknown outcome', (code) => {
    expect(sqlState(raised(code))).toBeUndefined();
    expect(isConnectionError(raised(code))).toBe(true);
    expect(toOperationalError(raised(code))).toMatchObject({
      code: 'database-unavailable',
      retryable: true,
      outcomeKnown: false,
    });
  });

  it.each(['57P01', '08006', '23505', 'XX000', 'P0001'])('%s is a state of the server', (code) => {
    expect(sqlState(raised(code))).toBe(code);
  });
});
