import { START_IT, type Connection } from './connection.js';
import { CommandError, EXIT } from './failure.js';
import { findingLines, type ShownFinding } from './findings.js';
import { safe } from './text.js';

const TIMEOUT_MS = 30_000;

export interface ApiRequest {
  readonly method?: 'GET' | 'PUT' | 'POST' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly query?: Readonly<Record<string, string | undefined>>;
  /** Sent as JSON. */
  readonly json?: unknown;
  /** Sent as it is, as `application/yaml`: JSON is YAML too. */
  readonly policy?: { readonly text: string; readonly file: string };
  /** Sent as it is. */
  readonly body?: { readonly text: string; readonly type: string };
  readonly headers?: Readonly<Record<string, string>>;
  /** For what takes long. */
  readonly timeoutMs?: number;
}

export interface ApiAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/** Speaks HTTP to the admin API. An answer that is not a success becomes a `CommandError`. */
export class ApiClient {
  constructor(private readonly connection: Connection) {}

  /** The answer's JSON. Its shape is the API's promise (openapi.json). */
  async json<Body>(request: ApiRequest): Promise<Body> {
    const answer = await this.send(request);
    return (answer.text === '' ? undefined : JSON.parse(answer.text)) as Body;
  }

  async send(request: ApiRequest): Promise<ApiAnswer> {
    const url = new URL(request.path, this.connection.api);
    for (const [name, value] of Object.entries(request.query ?? {})) {
      if (value !== undefined) url.searchParams.set(name, value);
    }
    const answer = await this.fetch(url, request);
    if (answer.status >= 400) throw refusal(answer, request);
    return answer;
  }

  private async fetch(url: URL, request: ApiRequest): Promise<ApiAnswer> {
    const { body, type } = bodyOf(request);
    try {
      const response = await fetch(url, {
        method: request.method ?? 'GET',
        headers: {
          Authorization: `Bearer ${this.connection.key}`,
          Accept: 'application/json',
          ...(body !== undefined && { 'Content-Type': type }),
          ...request.headers,
        },
        ...(body !== undefined && { body }),
        redirect: 'error',
        signal: AbortSignal.timeout(request.timeoutMs ?? TIMEOUT_MS),
      });
      return { status: response.status, headers: response.headers, text: await response.text() };
    } catch (error) {
      const cause = error instanceof Error && error.cause instanceof Error ? error.cause.message : undefined;
      const why = cause ?? (error instanceof Error ? error.message : 'no answer');
      throw new CommandError(EXIT.unreachable, `the admin API at ${url.origin} does not answer: ${safe(why)}`, [
        START_IT,
      ]);
    }
  }
}

function bodyOf({ policy, body, json }: ApiRequest): { readonly body: string | undefined; readonly type: string } {
  if (policy !== undefined) return { body: policy.text, type: 'application/yaml' };
  if (body !== undefined) return { body: body.text, type: body.type };
  return { body: json === undefined ? undefined : JSON.stringify(json), type: 'application/json' };
}

interface Problem {
  readonly title?: string;
  readonly detail?: string;
  readonly trace?: string;
  readonly errors?: readonly ShownFinding[];
}

function refusal(answer: ApiAnswer, request: ApiRequest): CommandError {
  const problem = readProblem(answer);
  const exitCode = answer.status >= 500 ? EXIT.unreachable : EXIT.refused;
  const source = request.policy;
  const lines = (problem.errors ?? []).flatMap((error) =>
    source === undefined ? [`  ${safe(error.message)}`] : findingLines(error, source),
  );
  const trace = answer.status >= 500 && problem.trace !== undefined ? [`trace: ${safe(problem.trace)}`] : [];
  const single = source === undefined && problem.errors?.length === 1; // its message is the detail already
  return new CommandError(
    exitCode,
    safe(problem.detail ?? problem.title ?? `status ${answer.status}`),
    [...(single ? [] : lines), ...trace],
    problem,
  );
}

function readProblem(answer: ApiAnswer): Problem {
  if (!(answer.headers.get('content-type') ?? '').includes('json')) return {};
  try {
    return JSON.parse(answer.text) as Problem;
  } catch {
    return {};
  }
}
