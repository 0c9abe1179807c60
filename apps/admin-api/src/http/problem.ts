/** What a caller is told when a request is not answered: RFC 9457 problem details, from one catalogue. */

/** Every problem this API can answer. `docs/admin-api.md` explains each; a test compares the two. */
export const PROBLEMS = {
  'malformed-body': { status: 400, title: 'The body cannot be read' },
  'invalid-request': { status: 400, title: 'The request has a field that is wrong or unknown' },
  unauthenticated: { status: 401, title: 'An API key is needed' },
  forbidden: { status: 403, title: 'This API key may not do that' },
  'not-found': { status: 404, title: 'There is no such thing' },
  'method-not-allowed': { status: 405, title: 'This resource does not know the method' },
  'not-acceptable': { status: 406, title: 'None of the accepted formats can be given' },
  conflict: { status: 409, title: 'The request does not fit the present state' },
  'precondition-failed': { status: 412, title: 'The resource has changed since it was read' },
  'body-too-large': { status: 413, title: 'The body is too large' },
  'unsupported-media-type': { status: 415, title: 'The body is in a format that is not understood' },
  'policy-refused': { status: 422, title: 'The policy was refused' },
  'value-refused': { status: 422, title: 'The value was refused' },
  'idempotency-key-reused': { status: 422, title: 'The Idempotency-Key belongs to another request' },
  'precondition-required': { status: 428, title: 'The request must say which state it changes' },
  'too-many-requests': { status: 429, title: 'Too many requests' },
  internal: { status: 500, title: 'Something went wrong here' },
  'database-unavailable': { status: 503, title: 'The database cannot be reached' },
} as const;

export type ProblemKey = keyof typeof PROBLEMS;

export interface ProblemError {
  readonly code: string;
  readonly message: string;
  readonly pointer?: string;
  readonly line?: number;
  readonly column?: number;
  readonly severity?: string;
  readonly fix?: string;
}

export interface ProblemBody {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly trace: string;
  readonly errors?: readonly ProblemError[];
}

/** Thrown by whoever finds that a request cannot be served; the filter turns it into an answer. */
export class Problem extends Error {
  constructor(
    readonly key: ProblemKey,
    readonly detail: string,
    readonly errors: readonly ProblemError[] = [],
    readonly headers: Readonly<Record<string, string>> = {},
  ) {
    super(detail);
    this.name = 'Problem';
  }

  get status(): number {
    return PROBLEMS[this.key].status;
  }

  body(trace: string): ProblemBody {
    const { status, title } = PROBLEMS[this.key];
    const errors = this.errors.length === 0 ? {} : { errors: this.errors };
    return { type: `urn:postern:problem:${this.key}`, title, status, detail: this.detail, trace, ...errors };
  }
}

/** A JSON pointer (RFC 6901) to a field given by its path. */
export function pointer(path: readonly (string | number)[]): string {
  return path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}
