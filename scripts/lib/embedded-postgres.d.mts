export function embeddedPostgresUrl(dataDir: string): string | undefined;
export interface EmbeddedPostgres {
  /** `postgresql://postern@/postern?host=/dir&port=5432`; the role is superuser, for tests that create databases. */
  readonly url: string;
  readonly pid: number;
  /** True when a server left over from an earlier run was taken over. */
  readonly reused: boolean;
  readonly cluster: string;
  /** Resolves when the server process has ended, for whatever reason. */
  readonly exited: Promise<void>;
  stop(options?: { immediate?: boolean }): Promise<void>;
}

export function startEmbeddedPostgres(options: {
  dataDir: string;
  log?: (line: string) => void;
  settings?: Readonly<Record<string, string>>;
  /** Gives the start up: nothing runs then, and the promise rejects with its reason. */
  signal?: AbortSignal;
}): Promise<EmbeddedPostgres>;
