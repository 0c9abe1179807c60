/** Bulk senders: Postfix's smtp-source, which knows nothing of us. One process holds many sessions. */
import { runProgram } from './run-program.js';

export interface BulkOptions {
  readonly host?: string;
  readonly port: number;
  readonly messages: number;
  readonly sessions: number;
  readonly sender: string;
  readonly recipient: string;
  /** Octets of body, without the few header lines it adds. */
  readonly bodyBytes?: number;
  /** A whole message with plain line ends, instead of one made up. */
  readonly contentFile?: string;
  /** Many messages over one connection (`-d`); false opens a connection for each. */
  readonly keepSessions?: boolean;
  readonly heloName?: string;
  readonly recipientsPerMessage?: number;
  /** Goes on when a reply is not the one it hoped for. */
  readonly tolerant?: boolean;
  readonly deadlineMs?: number;
}

/** Sends everything or rejects with what smtp-source said; seconds it took. */
export async function sendBulk(options: BulkOptions): Promise<{ seconds: number }> {
  const startedAt = performance.now();
  const result = await runProgram('smtp-source', argumentsOf(options), { deadlineMs: options.deadlineMs ?? 120_000 });
  if (result.code !== 0) throw new Error(`smtp-source ended with ${String(result.code)}: ${result.stderr.trim()}`);
  return { seconds: (performance.now() - startedAt) / 1000 };
}

function argumentsOf(options: BulkOptions): string[] {
  return [
    ...((options.keepSessions ?? true) ? ['-d'] : []),
    ...((options.tolerant ?? false) ? ['-A'] : []),
    ...['-s', String(options.sessions), '-m', String(options.messages)],
    ...['-M', options.heloName ?? 'source.test', '-f', options.sender, '-t', options.recipient],
    ...(options.contentFile === undefined ? ['-l', String(options.bodyBytes ?? 4096)] : ['-F', options.contentFile]),
    ...(options.recipientsPerMessage === undefined ? [] : ['-r', String(options.recipientsPerMessage)]),
    `inet:${options.host ?? '127.0.0.1'}:${String(options.port)}`,
  ];
}
