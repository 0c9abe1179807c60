import type { AddressInfo } from 'node:net';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { OperationalError } from '#database';
import type { Logger } from 'pino';
import { evidenceIn } from './audit-evidence.js';
import { readConfig, type AdminApiConfig } from './config.js';
import { createAdminApi } from './create-app.js';
import { DatabaseAccess } from './database-access.js';
import { createLogger } from './logger.js';
import { endAsMisconfigured, tellSupervisor } from './process-messages.js';

const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 60_000;

async function main(): Promise<void> {
  const read = readConfig(process.env);
  if (!read.ok) return endAsMisconfigured(`the admin API cannot start: ${read.faults.join('; ')}`);
  const { config } = read;
  const logger = createLogger(config.logLevel, 'admin-api');
  const database = new DatabaseAccess();
  const { dataDir, maxPolicyBytes, maxRequestsPerSecond, requiredApprovals } = config;
  const app = await createAdminApi({
    database,
    logger,
    maxPolicyBytes,
    maxRequestsPerSecond,
    requiredApprovals,
    evidence: evidenceIn(dataDir),
  });
  const stopping = new AbortController();
  stopOnSignal(app, database, stopping, logger);
  const url = await listen(app, config);
  // Requests are answered from here on: with 503 until the database is there.
  await openDatabase(database, config, stopping.signal, logger);
  if (!/^(127\.|::1$|localhost$)/u.test(config.host)) {
    logger.warn(
      { host: config.host },
      'keys travel unencrypted: put a TLS proxy in front of an address that others reach',
    );
  }
  logger.info({ url }, 'ready');
  await tellSupervisor({ kind: 'ready', url });
}

async function listen(app: NestExpressApplication, config: AdminApiConfig): Promise<string> {
  const server = app.getHttpServer();
  server.headersTimeout = HEADERS_TIMEOUT_MS;
  server.requestTimeout = REQUEST_TIMEOUT_MS;
  try {
    await app.listen(config.port, config.host);
  } catch (error) {
    return endAsMisconfigured(listenFault(error, config));
  }
  const { address, port, family } = server.address() as AddressInfo;
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
}

function listenFault(error: unknown, { host, port }: AdminApiConfig): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown fault';
  const place = `${host} port ${port}`;
  if (code === 'EADDRINUSE')
    return `the admin API cannot listen on ${place}: the port is taken; choose another with ADMIN_API_PORT (0 = any free one)`;
  if (code === 'EACCES')
    return `the admin API cannot listen on ${place}: not permitted; choose another port with ADMIN_API_PORT`;
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') {
    return `the admin API cannot listen on ${place}: this machine has no such address; choose one with ADMIN_API_HOST`;
  }
  return `the admin API cannot listen on ${place}: ${code}; see ADMIN_API_HOST and ADMIN_API_PORT`;
}

async function openDatabase(
  database: DatabaseAccess,
  config: AdminApiConfig,
  signal: AbortSignal,
  logger: Logger,
): Promise<void> {
  try {
    await database.open(config, logger, signal);
  } catch (error) {
    if (signal.aborted) return;
    if (error instanceof OperationalError || error instanceof TypeError) await endAsMisconfigured(error.message);
    throw error;
  }
}

function stopOnSignal(
  app: NestExpressApplication,
  database: DatabaseAccess,
  stopping: AbortController,
  logger: Logger,
): void {
  const stop = (reason: string): void => {
    if (stopping.signal.aborted) return;
    stopping.abort();
    logger.info({ reason }, 'stopping');
    app.getHttpServer().closeIdleConnections();
    void app
      .close()
      .then(() => database.close())
      .then(() => process.exit(0))
      .catch((error: unknown) => {
        logger.error({ err: error }, 'stopping failed');
        process.exit(1);
      });
  };
  process.on('SIGTERM', () => stop('SIGTERM'));
  process.on('SIGINT', () => stop('SIGINT'));
  process.on('disconnect', () => stop('the supervisor is gone'));
}

await main();
