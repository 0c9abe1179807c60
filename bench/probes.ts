/**
 * RCPT probes: MAIL, RCPT and RSET in one group, over and over, each for another recipient. Postern with a managed list of
 * recipients, Postfix with the same as `relay_recipient_maps` in lmdb; each with ten entries and with many.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync, chmodSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDatabase } from '#database';
import { postmap, startPostfix } from '../test/support/postfix.js';
import { RunningPostern } from '../test/support/running-postern.js';
import { addressOf } from './policy-documents.js';
import { startServer } from './server.js';

const SESSIONS = 20;
const FEW = 10;
const CHUNK = 50_000;
const DOMAINS = 5_000;

interface Target {
  readonly port: number;
  stop(): Promise<void>;
}

export async function measureProbes(project: string, entries: number, seconds: number): Promise<readonly string[]> {
  const lines: string[] = [];
  for (const size of [FEW, entries]) {
    const rates: number[] = [];
    for (const [name, start] of [
      ['Postern', startPostern],
      ['Postfix', startReference],
    ] as const) {
      const folder = mkdtempSync(join(tmpdir(), 'probes-'));
      chmodSync(folder, 0o755);
      const target = await start(project, folder, size);
      try {
        await probe(target.port, size, 1);
        const rate = await probe(target.port, size, seconds);
        rates.push(rate);
        lines.push(`${name}, ${String(size)} recipients: ${rate.toFixed(0)} probes/s`);
      } finally {
        await target.stop();
        rmSync(folder, { recursive: true, force: true });
      }
    }
    lines.push(`${String(size)} recipients: ${((rates[0] ?? 0) / (rates[1] ?? 1)).toFixed(1)} × Postfix`);
  }
  return lines;
}

function domainsOf(size: number): readonly string[] {
  return Array.from({ length: Math.min(size, DOMAINS) }, (_, i) => `dest${String(i)}.example.com`);
}

async function startPostern(project: string, folder: string, size: number): Promise<Target> {
  const server = await startServer(project);
  const policy = {
    policy: 'main',
    listeners: { probes: { address: '127.0.0.1', port: 0, exposure: 'internal' } },
    lists: {
      ours: { type: 'domain', entries: domainsOf(size) },
      staff: { type: 'address', source: 'managed', within: { domain: 'ours' } },
    },
    domains: [{ match: 'ours', recipients: 'staff' }],
    routing: [{ name: 'all', route: 'keep' }],
    routes: { keep: { file: { format: 'maildir', directory: 'keep' } } },
  };
  const running = await RunningPostern.start({
    dataDir: join(folder, 'data'),
    policy,
    project,
    env: { DATABASE_URL: server.url },
  });
  const database = await openDatabase({ url: server.url, applicationName: 'bench' });
  for (let from = 0; from < size; from += CHUNK) {
    const values = Array.from({ length: Math.min(CHUNK, size - from) }, (_, i) => addressOf(from + i));
    await database.lists.add('staff', values, { actor: 'bench' });
  }
  await database.close();
  const port = running.port('probes');
  await untilKnown(port, addressOf(size - 1));
  return {
    port,
    async stop() {
      await running.stop();
      await server.remove();
    },
  };
}

async function startReference(_project: string, folder: string, size: number): Promise<Target> {
  const config = join(folder, 'etc');
  mkdirSync(config, { recursive: true });
  writeFileSync(join(config, 'main.cf'), 'compatibility_level = 3.6\nlmdb_map_size = 1073741824\n');
  const people = Array.from({ length: size }, (_, i) => `${addressOf(i)} OK\n`).join('');
  writeFileSync(join(config, 'recipients'), people);
  writeFileSync(
    join(config, 'domains'),
    domainsOf(size)
      .map((domain) => `${domain} OK\n`)
      .join(''),
  );
  for (const name of ['recipients', 'domains']) await postmap(config, `lmdb:${join(config, name)}`);
  return startPostfix({
    folder,
    smtpdProcesses: 2 * SESSIONS,
    settings: {
      lmdb_map_size: '1073741824',
      relay_domains: `lmdb:${join(config, 'domains')}`,
      relay_recipient_maps: `lmdb:${join(config, 'recipients')}`,
      smtpd_relay_restrictions: 'reject_unauth_destination',
      smtpd_client_event_limit_exceptions: 'static:all',
      smtpd_client_connection_count_limit: '0',
      in_flow_delay: '0',
    },
  });
}

/** The gateway hears of entries a moment after they were committed. */
async function untilKnown(port: number, recipient: string): Promise<void> {
  for (const deadline = Date.now() + 60_000; Date.now() < deadline;) {
    const session = await Session.open(port);
    const replies = await session.group(recipient);
    session.close();
    if (replies.includes('\n250 2.1.5') || /^250.*\r\n250/.test(replies)) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error(`\`${recipient}\` is not known`);
}

/** Probes per second, all sessions together. */
async function probe(port: number, size: number, seconds: number): Promise<number> {
  const sessions = await Promise.all(Array.from({ length: SESSIONS }, () => Session.open(port)));
  const from = performance.now();
  const until = from + seconds * 1000;
  const counts = await Promise.all(
    sessions.map(async (session, index) => {
      let count = 0;
      for (; performance.now() < until; count += 1) {
        await session.group(addressOf(((count * SESSIONS + index) * 7_919) % size));
      }
      return count;
    }),
  );
  const taken = (performance.now() - from) / 1000;
  for (const session of sessions) session.close();
  return counts.reduce((sum, count) => sum + count, 0) / taken;
}

/** One connection; a group is three commands in one segment, and its three replies. */
class Session {
  private received = '';
  private wake: (() => void) | undefined;

  private constructor(private readonly socket: Socket) {
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => {
      this.received += chunk.toString('latin1');
      this.wake?.();
    });
  }

  static async open(port: number): Promise<Session> {
    const session = new Session(connect({ host: '127.0.0.1', port }));
    await session.replies(1);
    session.socket.write('EHLO probe.example\r\n');
    await session.replies(1);
    return session;
  }

  async group(recipient: string): Promise<string> {
    this.socket.write(`MAIL FROM:<a@x.example>\r\nRCPT TO:<${recipient}>\r\nRSET\r\n`);
    return this.replies(3);
  }

  close(): void {
    this.socket.destroy();
  }

  /** Waits for so many whole replies. */
  private async replies(count: number): Promise<string> {
    while ((this.received.match(/^\d{3} .*\r\n/gm)?.length ?? 0) < count) {
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
    const all = this.received;
    this.received = '';
    return all;
  }
}
