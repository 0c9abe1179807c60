/**
 * The clients of the probes: on each connection MAIL, RCPT and RSET in one segment, over and over, for as long as both
 * peers let a client go on that sends no mail: both count RSET, and end it soon after the hundredth.
 */
import { connect, type Socket } from 'node:net';

const LINE_FEED = 0x0a;
const TWO = 0x32;
export const PROBES_PER_SESSION = 90;

export interface ProbeCount {
  readonly probes: number;
  /** Probes of which some command was not answered with 2xx. */
  readonly refused: number;
  readonly seconds: number;
}

/** `recipientOf` is asked for each probe, by its number. */
export async function probeFor(
  port: number,
  load: { readonly sessions: number; readonly seconds: number },
  recipientOf: (probe: number) => string,
): Promise<ProbeCount> {
  const from = performance.now();
  const until = from + load.seconds * 1000;
  let probes = 0;
  let refused = 0;
  const probe = async (session: ProbeSession): Promise<void> => {
    const recipient = recipientOf(probes);
    probes += 1;
    if (!(await session.probe(recipient))) refused += 1;
  };
  const client = async (): Promise<void> => {
    while (performance.now() < until) {
      const session = await ProbeSession.open(port);
      for (let sent = 0; sent < PROBES_PER_SESSION && performance.now() < until; sent += 1) await probe(session);
      session.close();
    }
  };
  await Promise.all(Array.from({ length: load.sessions }, client));
  return { probes, refused, seconds: (performance.now() - from) / 1000 };
}

export class ProbeSession {
  private expected = 0;
  private good = true;
  private atStart = true;
  private answered: ((good: boolean) => void) | undefined;
  private failed: Error | undefined;

  private constructor(private readonly socket: Socket) {
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => {
      this.read(chunk);
    });
    const end = (): void => {
      this.failed ??= new Error('the server closed the connection');
      this.answered?.(false);
    };
    socket.on('error', end);
    socket.on('close', end);
  }

  static async open(port: number): Promise<ProbeSession> {
    const session = new ProbeSession(connect({ host: '127.0.0.1', port }));
    await session.replies(1);
    // HELO: all replies are then one line long, and counting lines is counting replies.
    session.socket.write('HELO probe.example\r\n');
    await session.replies(1);
    return session;
  }

  /** Whether all three were answered with 2xx. */
  probe(recipient: string): Promise<boolean> {
    this.socket.write(`MAIL FROM:<a@x.example>\r\nRCPT TO:<${recipient}>\r\nRSET\r\n`, 'latin1');
    return this.replies(3);
  }

  close(): void {
    this.socket.removeAllListeners('close');
    this.socket.destroy();
  }

  private replies(count: number): Promise<boolean> {
    if (this.failed !== undefined) return Promise.reject(this.failed);
    this.expected = count;
    this.good = true;
    return new Promise((resolve, reject) => {
      this.answered = (good) => {
        this.answered = undefined;
        if (this.failed === undefined) resolve(good);
        else reject(this.failed);
      };
    });
  }

  private read(chunk: Buffer): void {
    for (const byte of chunk) {
      if (this.atStart && byte !== TWO) this.good = false;
      this.atStart = byte === LINE_FEED;
      if (this.atStart) this.expected -= 1;
    }
    if (this.expected <= 0) this.answered?.(this.good);
  }
}
