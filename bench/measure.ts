/** One measured run: load on one peer until the sinks have everything; rate, latency and processor time. */
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { RunningSink } from '../test/support/smtp-sink.js';
import { sendBulk } from '../test/support/smtp-source.js';
import { waitFor } from '../test/support/wait.js';
import { percentile, startProbe } from './latency-probe.js';
import type { RunningPeer } from './peer.js';
import type { Scenario } from './scenario.js';

export interface Load {
  readonly messages: number;
  readonly sessions: number;
  readonly keepSessions: boolean;
  readonly bodyBytes: number;
  /** Sent instead of a body made up. */
  readonly contentFile?: string;
}

export interface Measurement {
  readonly messages: number;
  readonly seconds: number;
  readonly messagesPerSecond: number;
  /** Milliseconds from MAIL to the 250 after the dot. */
  readonly acceptP50Ms: number | undefined;
  readonly acceptP99Ms: number | undefined;
  /** Processor seconds per 1000 messages, by part of the product. */
  readonly cpuPer1000: Readonly<Record<string, number>>;
  /** Messages that arrived more than once. */
  readonly surplus: number;
}

const SOURCES = 5;
const DEADLINE_MS = 300_000;

export async function measure(
  peer: RunningPeer,
  setting: { readonly scenario: Scenario; readonly sinks: readonly RunningSink[] },
  load: Load,
): Promise<Measurement> {
  const { scenario, sinks } = setting;
  const arrived = (): number => sinks.reduce((sum, sink) => sum + sink.count(), 0);
  await settled(peer);
  const before = { arrived: arrived(), cpu: peer.cpuSeconds() };
  const probe = await startProbe(peer.port, envelopeOf(scenario, 7), probeContent(load));
  const startedAt = performance.now();
  await sendAll(peer.port, scenario, load);
  const times = await probe.stop();
  const messages = load.messages + times.length;
  await waitFor('the sinks to have everything', () => arrived() - before.arrived >= messages, {
    deadlineMs: DEADLINE_MS,
    everyMs: 5,
  });
  const seconds = (performance.now() - startedAt) / 1000;
  await settled(peer);
  const cpu = Object.entries(peer.cpuSeconds()).map(([part, used]) => {
    return [part, ((used - (before.cpu[part] ?? 0)) * 1000) / messages] as const;
  });
  return {
    messages,
    seconds,
    messagesPerSecond: messages / seconds,
    acceptP50Ms: percentile(times, 50),
    acceptP99Ms: percentile(times, 99),
    cpuPer1000: Object.fromEntries(cpu),
    surplus: arrived() - before.arrived - messages,
  };
}

/** Several sources, so that senders, recipients and next hops differ; together they hold the sessions asked for. */
async function sendAll(port: number, scenario: Scenario, load: Load): Promise<void> {
  const sources = Math.min(SOURCES, load.sessions);
  await Promise.all(
    Array.from({ length: sources }, (_, index) => {
      const { sender, recipients } = envelopeOf(scenario, index);
      return sendBulk({
        port,
        sender,
        recipient: recipients[0] ?? '',
        messages: share(load.messages, sources, index),
        sessions: share(load.sessions, sources, index),
        bodyBytes: load.bodyBytes,
        ...(load.contentFile !== undefined && { contentFile: load.contentFile }),
        keepSessions: load.keepSessions,
        deadlineMs: DEADLINE_MS,
      });
    }),
  );
}

function envelopeOf(scenario: Scenario, index: number): { sender: string; recipients: string[] } {
  const domain = scenario.senderDomains[index % scenario.senderDomains.length] ?? '';
  return {
    sender: `app@${domain}`,
    recipients: [scenario.recipients[(index * 41) % scenario.recipients.length] ?? ''],
  };
}

function share(total: number, parts: number, index: number): number {
  return Math.floor(total / parts) + (index < total % parts ? 1 : 0);
}

/** Work that goes on after the last message (results, clean-up) belongs to the run: wait until it is done. */
async function settled(peer: RunningPeer): Promise<void> {
  const total = (): number => Object.values(peer.cpuSeconds()).reduce((sum, seconds) => sum + seconds, 0);
  let last = total();
  for (let round = 0; round < 25; round += 1) {
    await delay(200);
    const now = total();
    if (now - last < 0.02) return;
    last = now;
  }
}

function probeContent({ bodyBytes, contentFile }: Load): Buffer {
  if (contentFile !== undefined)
    return Buffer.from(readFileSync(contentFile, 'latin1').replaceAll('\n', '\r\n'), 'latin1');
  const head = 'From: probe@sender.test\r\nTo: user@dest.test\r\nSubject: probe\r\n\r\n';
  return Buffer.from(head + `${'p'.repeat(76)}\r\n`.repeat(Math.ceil(bodyBytes / 78)), 'latin1');
}
