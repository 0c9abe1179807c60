/** The REST interface as a stranger uses it: plain HTTP, JSON in and out. */
import { waitFor } from './wait.js';

export interface ApiAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The parsed body; undefined when it is empty or not JSON. */
  readonly body: unknown;
}

export interface ApiRequest {
  readonly body?: string;
  readonly type?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** The parts of a transaction that tests look at. */
export interface TransactionStory {
  readonly id: string;
  readonly trace: string;
  readonly verdict: string;
  readonly reply?: string;
  readonly session: { readonly ip?: string; readonly helo: string; readonly listener: string };
  readonly envelope: { readonly sender: string };
  readonly message?: { readonly sizeBytes: number; readonly subject?: string; readonly messageId?: string };
  readonly decision: { readonly revision: number; readonly client: string; readonly by: string };
  readonly recipients: readonly {
    readonly original: string;
    readonly address: string;
    readonly verdict: string;
    readonly by: string;
    readonly reply: string;
    readonly route?: string;
    readonly state: string;
    readonly attempts: readonly {
      readonly attempt: number;
      readonly outcome: string;
      readonly host: string;
      readonly port?: number;
      readonly stage: string;
      readonly reply: string;
      readonly code?: number;
    }[];
  }[];
  readonly events: readonly { readonly kind: string }[];
}

export class AdminApi {
  constructor(
    readonly url: string,
    private readonly key: string,
  ) {}

  /** Whatever is answered, errors too. */
  async request(method: string, path: string, request: ApiRequest = {}): Promise<ApiAnswer> {
    const response = await fetch(new URL(path, this.url), {
      method,
      headers: {
        Authorization: `Bearer ${this.key}`,
        Connection: 'close',
        ...(request.body === undefined ? {} : { 'Content-Type': request.type ?? 'application/json' }),
        ...request.headers,
      },
      ...(request.body === undefined ? {} : { body: request.body }),
      signal: AbortSignal.timeout(30_000),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, text, body: parsed(text) };
  }

  /** Rejects for anything but a 2xx. */
  async expectOk(method: string, path: string, request: ApiRequest = {}): Promise<unknown> {
    const answer = await this.request(method, path, request);
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${String(answer.status)} ${answer.text}`);
    return answer.body;
  }

  putPolicy(document: unknown): Promise<ApiAnswer> {
    const body = typeof document === 'string' ? document : JSON.stringify(document);
    return this.request('PUT', '/v1/policies/main', { body, type: 'application/yaml', headers: { 'If-Match': '*' } });
  }

  /** Publishes and resolves with the new revision. */
  async publish(document: unknown): Promise<number> {
    const answer = await this.putPolicy(document);
    if (answer.status >= 300) throw new Error(`the policy was refused: ${String(answer.status)} ${answer.text}`);
    return (answer.body as { revision: number }).revision;
  }

  async liveRevision(): Promise<number> {
    return ((await this.expectOk('GET', '/v1/policies/main')) as { revision: number }).revision;
  }

  async addEntry(list: string, value: string): Promise<void> {
    await this.expectOk('POST', `/v1/lists/${list}/entries`, { body: JSON.stringify({ value }) });
  }

  async removeEntry(list: string, value: string): Promise<void> {
    await this.expectOk('DELETE', `/v1/lists/${list}/entries/${encodeURIComponent(value)}`);
  }

  async search(query: Readonly<Record<string, string>>): Promise<{ id: string; trace: string; verdict: string }[]> {
    const answer = await this.expectOk('GET', `/v1/transactions?${new URLSearchParams(query).toString()}`);
    return (answer as { data: { id: string; trace: string; verdict: string }[] }).data;
  }

  async transaction(id: string): Promise<TransactionStory> {
    return (await this.expectOk('GET', `/v1/transactions/${id}`)) as TransactionStory;
  }

  /** The only transaction that matches, as soon as `holds` for its story. */
  storyWhen(
    what: string,
    query: Readonly<Record<string, string>>,
    holds: (story: TransactionStory) => boolean,
  ): Promise<TransactionStory> {
    return waitFor(
      what,
      async () => {
        const [found] = await this.search(query);
        const story = found === undefined ? undefined : await this.transaction(found.id);
        return story !== undefined && holds(story) ? story : undefined;
      },
      { deadlineMs: 20_000, everyMs: 50 },
    );
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
