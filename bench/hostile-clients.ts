/** Clients that mean no good, many at once, for what they cost a server. Each is bounded in time and octets. */
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

export interface HostileClient {
  readonly what: string;
  /** What it sends behind EHLO, at once and without waiting for replies. */
  readonly opening: string;
  /** Then this, over and over, until so many octets were sent. */
  readonly flood: Buffer;
  readonly floodBytes: number;
}

const ENVELOPE = 'MAIL FROM:<a@client.test>\r\nRCPT TO:<b@sink.test>\r\nDATA\r\n';
const MEBIBYTE = 1_048_576;
/** Longer than any attack here needs. */
const ATTACK_MS = 4_000;

export const HOSTILE_CLIENTS: readonly HostileClient[] = [
  { what: 'header flood', opening: ENVELOPE, flood: repeated('X-Flood: y\r\n'), floodBytes: 4 * MEBIBYTE },
  { what: 'one header of folds', opening: `${ENVELOPE}X:`, flood: repeated('\r\n a'), floodBytes: 4 * MEBIBYTE },
  { what: 'content line of 1 MB', opening: ENVELOPE, flood: repeated('z'), floodBytes: MEBIBYTE },
  {
    what: 'near-miss ends of content',
    opening: ENVELOPE,
    flood: repeated('\r\n.\r\r\n..\r\n.x\r\n'),
    floodBytes: MEBIBYTE,
  },
  {
    what: 'near-miss boundaries',
    opening: `${ENVELOPE}Content-Type: multipart/mixed; boundary=0123456789\r\n\r\n--0123456789\r\n\r\n`,
    flood: repeated('--0123456788\r\n--012345678\r\n---0123456789\r\n--\r\n'),
    floodBytes: 4 * MEBIBYTE,
  },
  {
    what: 'parts without end',
    opening: `${ENVELOPE}Content-Type: multipart/mixed; boundary=b\r\n\r\n`,
    flood: repeated('--b\r\n\r\n'),
    floodBytes: MEBIBYTE,
  },
  {
    what: 'chunks of one octet',
    opening: 'MAIL FROM:<a@client.test>\r\nRCPT TO:<b@sink.test>\r\n',
    flood: repeated('BDAT 1\r\nx'),
    floodBytes: MEBIBYTE,
  },
  { what: 'command line of 1 MB', opening: '', flood: repeated('A'), floodBytes: MEBIBYTE },
  {
    what: '10,000 RCPT',
    opening: 'MAIL FROM:<a@client.test>\r\n',
    flood: Buffer.from('RCPT TO:<b@sink.test>\r\n'.repeat(1000)),
    floodBytes: 10_000 * 23,
  },
  {
    what: 'NOOPs, replies never read',
    opening: '',
    flood: Buffer.from('NOOP\r\n'.repeat(10_000)),
    floodBytes: MEBIBYTE,
  },
];

/** Not hostile, only large. */
export const LARGE_MESSAGE: HostileClient = {
  what: 'message of 25 MB',
  opening: ENVELOPE,
  flood: repeated(`${'x'.repeat(76)}\r\n`),
  floodBytes: 25 * MEBIBYTE,
};

function repeated(text: string): Buffer {
  return Buffer.from(text.repeat(Math.ceil(65_536 / text.length)), 'latin1');
}

/** Lets `count` clients do their worst; returns when they are done or held off, with the way to let go of them. */
export async function attack(port: number, client: HostileClient, count: number): Promise<() => Promise<void>> {
  const sockets = Array.from({ length: count }, () => assail(port, client));
  const until = performance.now() + ATTACK_MS;
  const busy = (): boolean => sockets.some((socket) => !socket.destroyed && socket.writableLength > 0);
  await delay(800);
  do await delay(100);
  while (busy() && performance.now() < until);
  return async () => {
    for (const socket of sockets) socket.destroy();
    await delay(500);
  };
}

function assail(port: number, client: HostileClient): Socket {
  const socket = connect({ port, host: '127.0.0.1' });
  socket.on('error', () => socket.destroy());
  // Replies pile up at the server's side: that is part of the attack.
  socket.pause();
  socket.once('connect', () => {
    setTimeout(() => {
      // Alone: whoever writes on behind EHLO is thrown out before the attack begins (RFC 2920 s3.1).
      socket.write('EHLO client.test\r\n');
      let sent = 0;
      const more = (): void => {
        while (sent < client.floodBytes && !socket.destroyed) {
          sent += client.flood.length;
          if (!socket.write(client.flood)) {
            socket.once('drain', more);
            return;
          }
        }
      };
      // Behind the replies to the envelope: pipelining past DATA would end the session at once.
      setTimeout(() => socket.write(client.opening), 200);
      setTimeout(more, 500);
    }, 100);
  });
  return socket;
}
