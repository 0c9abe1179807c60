import { describe, expect, test } from '@jest/globals';
import { readConfig, renderConfig } from './config.js';

const GOOD = { DATABASE_URL: 'postgresql://postern@/postern?host=/run/x', POSTERN_DATA_DIR: '/var/lib/postern' };

describe('the environment of the admin API', () => {
  test('needs a database and a data directory, and has defaults for the rest', () => {
    expect(readConfig({ ...GOOD, HOME: '/root', GATEWAY_HOSTNAME: 'mx.test' })).toEqual({
      ok: true,
      config: {
        databaseUrl: GOOD.DATABASE_URL,
        ownerDatabaseUrl: GOOD.DATABASE_URL,
        auditDays: 365,
        contentDays: 30,
        dataDir: '/var/lib/postern',
        host: '127.0.0.1',
        port: 8025,
        secretKeyFile: '/var/lib/postern/secret-key',
        secretKeyFileNamed: false,
        logLevel: 'info',
        maxPolicyBytes: 4_194_304,
        maxRequestsPerSecond: 2_000,
        requiredApprovals: 0,
      },
    });
  });

  test('an empty variable is one that is not set', () => {
    expect(readConfig({ ...GOOD, ADMIN_API_PORT: '', POSTERN_FIRST_POLICY: '' })).toMatchObject({ ok: true });
  });

  test.each([
    [{ DATABASE_URL: 'mysql://hidden' }, 'DATABASE_URL', 'postgresql://'],
    [{ DATABASE_URL: '' }, 'DATABASE_URL', 'postgresql://'],
    [{ POSTERN_DATA_DIR: 'hidden/data' }, 'POSTERN_DATA_DIR', 'absolute'],
    [{ POSTERN_DATA_DIR: '' }, 'POSTERN_DATA_DIR', 'absolute'],
    [{ ADMIN_API_PORT: 'hidden' }, 'ADMIN_API_PORT', '65535'],
    [{ ADMIN_API_PORT: '65536' }, 'ADMIN_API_PORT', '65535'],
    [{ ADMIN_API_PORT: '-1' }, 'ADMIN_API_PORT', '65535'],
    [{ ADMIN_API_PORT: '0x50' }, 'ADMIN_API_PORT', '65535'],
    [{ ADMIN_LOG_LEVEL: 'hidden' }, 'ADMIN_LOG_LEVEL', 'info'],
    [{ ADMIN_MAX_POLICY_BYTES: 'hidden' }, 'ADMIN_MAX_POLICY_BYTES', '1024'],
    [{ ADMIN_API_PROT: 'hidden' }, 'ADMIN_API_PROT', 'ADMIN_API_PORT'],
  ])('%j: the message names variable and expectation, never the value', (env, name, expectation) => {
    const result = readConfig({ ...GOOD, ...env });
    const message = result.ok ? '' : result.faults.join('; ');
    expect(message).toContain(`\`${name}\``);
    expect(message).toContain(expectation);
    expect(message).not.toContain('hidden');
  });

  test('every fault at once', () => {
    const result = readConfig({ ADMIN_API_PORT: 'x' });
    expect(result).toMatchObject({ ok: false });
    for (const name of ['DATABASE_URL', 'POSTERN_DATA_DIR', 'ADMIN_API_PORT']) {
      expect(result.ok ? '' : result.faults.join('; ')).toContain(name);
    }
  });

  test('is described whole', () => {
    const text = renderConfig();
    for (const name of [
      'DATABASE_URL',
      'POSTERN_DATA_DIR',
      'ADMIN_API_HOST',
      'ADMIN_API_PORT',
      'ADMIN_LOG_LEVEL',
      'ADMIN_MAX_POLICY_BYTES',
      'POSTERN_FIRST_POLICY',
    ]) {
      expect(text).toContain(`| \`${name}\` |`);
    }
  });
});
