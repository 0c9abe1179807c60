import { describe, expect, it } from '@jest/globals';
import { readGatewayConfig, renderConfig } from './config.js';

const GOOD = { DATABASE_URL: 'postgresql://u@h/d', POSTERN_DATA_DIR: '/var/lib/x' };

function faultsOf(environment: Record<string, string>): readonly string[] {
  const result = readGatewayConfig(environment);
  return result.ok ? [] : result.faults;
}

describe('gateway config', () => {
  it('needs only a database and a data directory', () => {
    const result = readGatewayConfig({ ...GOOD, PATH: '/bin', GATEWAY_HOSTNAME: 'MX.Example.com' });
    expect(result).toMatchObject({ ok: true, config: { hostname: 'mx.example.com', inlineContentBytes: 65_536 } });
  });

  it('documents the defaults it has', () => {
    const result = readGatewayConfig(GOOD);
    if (!result.ok) throw new Error(result.faults.join());
    const { config } = result;
    expect(renderConfig()).toContain(`\`GATEWAY_MEMORY_BYTES\` | \`${String(config.memoryBytes)}\``);
    expect(renderConfig()).toContain(`\`GATEWAY_STOP_GRACE_MS\` | \`${String(config.stopGraceMs)}\``);
    expect(renderConfig()).toContain(`\`GATEWAY_INLINE_CONTENT_BYTES\` | \`${String(config.inlineContentBytes)}\``);
  });

  it('names a missing variable', () => {
    expect(faultsOf({ POSTERN_DATA_DIR: '/x' })).toEqual(['`DATABASE_URL`: is missing and has no default']);
  });

  it('names the variable and the expectation, never the value', () => {
    const faults = faultsOf({ ...GOOD, GATEWAY_STOP_GRACE_MS: 'secret-10s', GATEWAY_LOG_LEVEL: 'loud' });
    expect(faults).toEqual([
      '`GATEWAY_LOG_LEVEL`: expected `debug`, `info`, `warn`, `error` or `silent`',
      '`GATEWAY_STOP_GRACE_MS`: expected a whole number from 0 to 600000',
    ]);
    expect(faults.join()).not.toContain('secret');
  });

  it('refuses a setting it does not know', () => {
    expect(faultsOf({ ...GOOD, GATEWAY_HOST: 'x' })[0]).toContain('`GATEWAY_HOST` is not a setting of the gateway');
  });

  it.each(['mx_1.example', '-x.example', 'a..b', 'x y', ''])('refuses the host name %j', (name) => {
    expect(faultsOf({ ...GOOD, GATEWAY_HOSTNAME: name })).toHaveLength(1);
  });
});
