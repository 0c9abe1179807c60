/** Starts one gateway process: settings, application, signals. */
import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import { OperationalError } from '#database';
import { readGatewayConfig, type GatewayConfig } from './config.js';
import { failForGood } from './fatal.js';
import { GatewayModule } from './gateway.module.js';
import { ListenFailure } from './inbound/listeners.js';
import { createLogger, type Logger } from './log.js';
import { LastError } from './operations/last-error.js';
import { isWorker, Workers } from './workers.js';

async function main(): Promise<void> {
  const result = readGatewayConfig(process.env);
  if (!result.ok) {
    failForGood(`wrong settings: ${result.faults.join('; ')}`);
    return;
  }
  const lastError = new LastError();
  const log = createLogger(result.config.logLevel, result.config.nodeName, (message) => {
    lastError.note(message);
  });
  process.on('uncaughtException', (error) => {
    log.fatal({ err: error }, 'a bug outside of any session; the supervisor starts this process again');
    process.exit(1);
  });
  if (!isWorker() && result.config.workers > 1) {
    runWorkers(result.config, log);
    return;
  }
  try {
    await run(result.config, log, lastError);
  } catch (error) {
    if (error instanceof ListenFailure || isHopeless(error)) failForGood(error.message);
    else throw error;
  }
}

function runWorkers(config: GatewayConfig, log: Logger): void {
  const workers = new Workers(config, log);
  onStop((why) => {
    workers.stop(why);
  });
  workers.start();
}

async function run(config: GatewayConfig, log: Logger, lastError: LastError): Promise<void> {
  const app = await NestFactory.createApplicationContext(GatewayModule.with(config, log, lastError), {
    logger: false,
    abortOnError: false,
  });
  let stopping = false;
  const stop = (why: string): void => {
    if (stopping) return;
    stopping = true;
    log.info({ why }, 'stopping');
    app.close().then(
      () => process.exit(0),
      (error: unknown) => {
        log.error({ err: error }, 'did not stop cleanly; leases run out by themselves');
        process.exit(1);
      },
    );
  };
  onStop(stop);
}

function onStop(stop: (why: string) => void): void {
  process.on('SIGTERM', () => stop('SIGTERM'));
  process.on('SIGINT', () => stop('SIGINT'));
  // The supervisor is gone: without it nobody would stop this process, or its database.
  process.on('disconnect', () => stop('supervisor gone'));
}

/** Errors that a new start would only repeat. */
function isHopeless(error: unknown): error is OperationalError {
  return error instanceof OperationalError && (error.code === 'unfit-database' || error.code === 'node-name-taken');
}

await main();
