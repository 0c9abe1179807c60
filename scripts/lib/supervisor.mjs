/**
 * What runs while Postern runs: PostgreSQL (unless one was given), the gateway, the admin API. Started in that order,
 * stopped in the order gateway, admin API, PostgreSQL, so that nothing loses what it still needs.
 */
import { fork } from 'node:child_process';
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Failure } from './failure.mjs';
import { isHeld } from './lock.mjs';
import { birthOf, holdsWithin } from './processes.mjs';
import { shortHash } from './postgres-place.mjs';
import { rotateLog } from './rotate-log.mjs';
import { SupervisedProcess } from './supervised-process.mjs';

/** Over its own grace. */
const GATEWAY_STOP_MS = 10_000;
const GATEWAY_GRACE_MS = 10_000;
const API_STOP_MS = 5_000;
const LEFT_OVER_MS = 25_000;
const POSTGRES_BACK_OFF_MS = 1_000;
const SLOW_SETUP_MS = 4_000;
const ROTATE_EVERY_MS = 60_000;

/** The variable a fault is about; both processes read some of them. */
const nameIn = (fault) => fault.split('`')[1];

export class Supervisor {
  #postgres;
  #gateway;
  #api;
  #stopped;
  #ready = {};
  #rotation;
  #launching;
  #setup;
  /** Ends every wait of the start. */
  #stopping = new AbortController();
  /** Nothing of an earlier run is left. */
  #alone = false;

  /** @param {{ root: string, options: object, env: NodeJS.ProcessEnv, log: (line: string) => void }} setting */
  constructor({ root, options, env, log }) {
    this.root = root;
    this.dataDir = options.dataDir;
    this.log = log;
    this.options = options;
    this.userEnv = env;
  }

  /** @returns {Promise<object>} what there is to tell when everything answers; rejects with a `Failure` when it cannot */
  async start() {
    await this.#checkSettings();
    await this.#waitForLeftOvers();
    this.#alone = true;
    const databaseUrl = this.userEnv.DATABASE_URL || (await this.#startPostgres());
    if (this.#stopped !== undefined) return undefined;
    const env = this.#environment(databaseUrl);
    this.log('preparing the database');
    const setup = await this.#setUp(env);
    if (this.#stopped !== undefined) return undefined;
    this.log('starting the gateway and the admin API');
    return await new Promise((ready, fail) => {
      const onFatal = (failure) => (this.#ready.done ? this.onFatal(failure) : fail(failure));
      const onReady = (message) => {
        Object.assign(
          this.#ready,
          message.listeners && { smtp: message.listeners },
          message.url && { api: message.url },
        );
        if (this.#ready.smtp === undefined || this.#ready.api === undefined) return;
        const told = {
          smtp: this.#ready.smtp,
          api: this.#ready.api,
          dataDir: this.dataDir,
          adminKeyFile: setup.adminKeyFile,
        };
        this.#write('run.json', { ...told, pid: process.pid });
        this.#ready.done = true;
        ready({ ...told, adminKey: setup.adminKey, adminKeyLost: setup.adminKeyLost });
      };
      this.#gateway = this.#process('gateway', asRole(env, env.GATEWAY_DATABASE_URL), { onReady, onFatal });
      this.#api = this.#process('admin-api', asRole(env, env.ADMIN_API_DATABASE_URL), { onReady, onFatal });
      this.#gateway.start();
      this.#api.start();
      this.#rotation = setInterval(() => this.#rotateLogs(), ROTATE_EVERY_MS);
    });
  }

  /** Set by the owner: a child found, while running, that its configuration is wrong. */
  onFatal = () => undefined;

  /** Idempotent; resolves when everything has ended. */
  stop() {
    this.#stopped ??= this.#stopAll();
    return this.#stopped;
  }

  async #stopAll() {
    this.#stopping.abort();
    clearInterval(this.#rotation);
    this.#setup?.child.kill('SIGTERM');
    await this.#setup?.ended;
    await this.#gateway?.stop(GATEWAY_STOP_MS + Number(this.userEnv.GATEWAY_STOP_GRACE_MS || GATEWAY_GRACE_MS));
    await this.#api?.stop(API_STOP_MS);
    await this.#launching?.catch(() => undefined);
    await this.#postgres?.stop();
    // The next start waits for what an earlier run left, when this one did not.
    for (const name of ['run.json', ...(this.#alone ? ['processes.json'] : [])]) {
      rmSync(join(this.dataDir, name), { force: true });
    }
  }

  #process(name, env, events) {
    return new SupervisedProcess({
      name,
      env,
      file: join(this.root, 'dist/apps', name, 'src/main.js'),
      logFile: join(this.dataDir, 'log', `${name}.log`),
      log: this.log,
      onSpawn: () => this.#recordProcesses(),
      ...events,
    });
  }

  async #startPostgres() {
    const { startEmbeddedPostgres } = await import('./embedded-postgres.mjs');
    this.log('starting PostgreSQL');
    const launch = async () => {
      this.#postgres = await startEmbeddedPostgres({
        dataDir: this.dataDir,
        log: this.log,
        signal: this.#stopping.signal,
      });
      void this.#postgres.exited.then(() => this.#restartPostgres(launch));
      return this.#postgres.url;
    };
    return (this.#launching = launch());
  }

  /** The gateway answers 451 meanwhile and connects again by itself. */
  async #restartPostgres(launch) {
    for (let waitMs = POSTGRES_BACK_OFF_MS; this.#stopped === undefined; waitMs = Math.min(waitMs * 2, 30_000)) {
      this.log(
        `PostgreSQL ended; starting it again in ${waitMs / 1000} s (its log: ${join(this.dataDir, 'postgres.log')})`,
      );
      await new Promise((resolve) => setTimeout(resolve, waitMs));
      if (this.#stopped !== undefined) return;
      try {
        await (this.#launching = launch());
        return this.log('PostgreSQL runs again');
      } catch (error) {
        this.log(error.message);
      }
    }
  }

  #environment(databaseUrl) {
    const name = /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/i.test(hostname()) ? hostname() : 'localhost';
    return {
      // Newer versions of Node keep compiled code there, for a quicker start; Node 20 ignores it.
      NODE_COMPILE_CACHE: join(this.root, 'node_modules/.cache/node'),
      GATEWAY_NODE_NAME: `${name.slice(0, 50)}-${shortHash(this.dataDir).slice(0, 6)}`,
      ADMIN_API_HOST: '127.0.0.1',
      ...this.userEnv,
      ADMIN_API_PORT: String(this.options.apiPort),
      DATABASE_URL: databaseUrl,
      ...(!this.userEnv.DATABASE_URL && embeddedRoles(databaseUrl)),
      POSTERN_DATA_DIR: this.dataDir,
      POSTERN_FIRST_POLICY: this.options.policy,
      ...(this.options.publish !== undefined && { POSTERN_PUBLISH_POLICY: this.options.publish }),
    };
  }

  /** Before anything is started: a wrong setting is told in a second, not after the database was made. */
  async #checkSettings() {
    const env = this.#environment(this.userEnv.DATABASE_URL || 'postgresql://embedded');
    const { readGatewayConfig } = await this.#built('apps/gateway/src/config.js');
    const { readConfig } = await this.#built('apps/admin-api/src/config.js');
    const gateway = readGatewayConfig(env);
    const api = readConfig(env);
    if (gateway.ok && api.ok) return;
    const told = gateway.faults ?? [];
    const more = api.ok ? [] : api.faults.filter((fault) => !told.some((other) => nameIn(other) === nameIn(fault)));
    throw new Failure(`wrong settings: ${[...told, ...more].join('; ')}`);
  }

  #built(module) {
    return import(pathToFileURL(join(this.root, 'dist', module)).href);
  }

  /** Migrations, the first policy, the first key: once, before anything else touches the database. */
  #setUp(env) {
    return new Promise((done, fail) => {
      const file = join(this.root, 'dist/apps/admin-api/src/setup.js');
      const child = fork(file, [], { env, detached: true, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
      this.#setup = { child, ended: new Promise((ended) => child.once('close', ended)) };
      let result;
      let fatal;
      let said = '';
      for (const stream of [child.stdout, child.stderr])
        stream.on('data', (chunk) => (said = (said + chunk).slice(-4000)));
      child.on('message', (message) => {
        if (message?.kind === 'done') result = message;
        if (message?.kind === 'fatal') fatal = String(message.message);
      });
      const patience = setTimeout(() => this.log('waiting for the database that DATABASE_URL names'), SLOW_SETUP_MS);
      if (!this.userEnv.DATABASE_URL) clearTimeout(patience);
      child.once('error', (error) => (fatal ??= error.message));
      child.once('close', (code, signal) => {
        clearTimeout(patience);
        if (code === 0 && result !== undefined) done(result);
        else fail(new Failure(`setup: ${fatal ?? (said.trim() || `ended with ${signal ?? code}`)}`));
      });
    });
  }

  #recordProcesses() {
    const pids = [this.#gateway?.pid, this.#api?.pid].filter((pid) => pid !== undefined);
    this.#write(
      'processes.json',
      pids.map((pid) => ({ pid, birth: birthOf(pid) })),
    );
  }

  /** Children of a supervisor that was killed notice it and stop; until then they hold ports and leases. */
  async #waitForLeftOvers() {
    const file = join(this.dataDir, 'processes.json');
    const held = () => readProcesses(file).filter(isHeld);
    if (held().length === 0) return;
    this.log('waiting for processes of an earlier run to stop');
    const { signal } = this.#stopping;
    const settled = await holdsWithin(LEFT_OVER_MS, () => held().length === 0 || signal.aborted);
    signal.throwIfAborted();
    if (!settled) {
      for (const { pid } of held()) process.kill(pid, 'SIGKILL');
    }
  }

  #rotateLogs() {
    for (const name of ['log/gateway.log', 'log/admin-api.log', 'postgres.log'])
      this.#orSay(() => rotateLog(join(this.dataDir, name)));
  }

  #write(name, value) {
    const path = join(this.dataDir, name);
    this.#orSay(() => {
      writeFileSync(`${path}.new`, `${JSON.stringify(value)}\n`);
      renameSync(`${path}.new`, path);
    });
  }

  /** A full disk must not end the supervisor: deliveries go on and make room. */
  #orSay(action) {
    try {
      action();
    } catch (error) {
      this.log(error.message);
    }
  }
}

/** In the embedded PostgreSQL each process has a role of its own; setup makes them. */
const embeddedRoles = (url) => ({
  GATEWAY_DATABASE_URL: url.replace('//postern@', '//postern_gateway@'),
  ADMIN_API_DATABASE_URL: url.replace('//postern@', '//postern_admin_api@'),
});

/** A process learns its own way to the database, and no other. */
function asRole(env, url) {
  const own = { ...env, DATABASE_URL: url || env.DATABASE_URL };
  delete own.GATEWAY_DATABASE_URL;
  delete own.ADMIN_API_DATABASE_URL;
  return own;
}

function readProcesses(file) {
  try {
    return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : [];
  } catch {
    return [];
  }
}
