/** Exit codes, as documented in docs/cli.md. */
export const EXIT = { ok: 0, refused: 1, usage: 2, unreachable: 3 } as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Ends the command: said on standard error, with the exit code it stands for. */
export class CommandError extends Error {
  constructor(
    readonly exitCode: ExitCode,
    message: string,
    /** Further lines: findings, what to do. */
    readonly details: readonly string[] = [],
    /** What `--json` prints instead, when the API said it. */
    readonly problem?: unknown,
  ) {
    super(message);
    this.name = 'CommandError';
  }
}
