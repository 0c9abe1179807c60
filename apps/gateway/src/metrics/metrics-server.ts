/**
 * The gateway's small HTTP port for machines: `/metrics` for Prometheus, `/healthz` and `/readyz` for whoever balances
 * or restarts. Off unless a port is given; it asks for no key and tells no secrets, so it listens on loopback by default.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';

export interface MetricsServerOptions {
  readonly host: string;
  readonly port: number;
  readonly metrics: () => Promise<{ readonly type: string; readonly body: string }>;
  /** Why mail can not be taken now; undefined when it can. */
  readonly whyNotReady: () => string | undefined;
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

const REQUEST_TIMEOUT_MS = 5_000;
const json = (status: number, body: object): Answer => ({
  status,
  type: 'application/json',
  body: `${JSON.stringify(body)}\n`,
});

export class MetricsServer {
  readonly #server: Server;

  constructor(private readonly options: MetricsServerOptions) {
    this.#server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS }, (request, response) => {
      this.#answer(request).then(
        (answer) => {
          send(response, answer);
        },
        () => {
          send(response, json(500, { status: 'error' }));
        },
      );
    });
  }

  /** The port it got. Rejects when it is taken. */
  async start(): Promise<number> {
    const { host, port } = this.options;
    // `exclusive`: each of several workers has figures, and so a port, of its own.
    this.#server.listen({ host, port, exclusive: true });
    await once(this.#server, 'listening');
    return (this.#server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  async #answer({ method, url }: IncomingMessage): Promise<Answer> {
    if (method !== 'GET' && method !== 'HEAD') return json(405, { status: 'error', detail: 'expected GET' });
    switch (url) {
      case '/metrics':
        return { status: 200, ...(await this.options.metrics()) };
      case '/healthz':
        return json(200, { status: 'ok' });
      case '/readyz': {
        const detail = this.options.whyNotReady();
        return detail === undefined ? json(200, { status: 'ok' }) : json(503, { status: 'unavailable', detail });
      }
      default:
        return json(404, { status: 'error', detail: 'expected /metrics, /healthz or /readyz' });
    }
  }
}

function send(response: ServerResponse, { status, type, body }: Answer): void {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) });
  response.end(response.req.method === 'HEAD' ? undefined : body);
}
