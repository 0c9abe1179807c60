/** Where a command writes. */
export interface Terminal {
  out(lines: readonly string[]): void;
  err(lines: readonly string[]): void;
  /** Text as it is, for documents that go to a file or a pipe. */
  raw(text: string): void;
}

export interface StandardStreams {
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WritableStream;
}

export function terminal({ stdout, stderr }: StandardStreams): Terminal {
  const write = (stream: NodeJS.WritableStream, lines: readonly string[]): void => {
    if (lines.length > 0) stream.write(`${lines.join('\n')}\n`);
  };
  return {
    out: (lines) => write(stdout, lines),
    err: (lines) => write(stderr, lines),
    raw: (text) => void stdout.write(text),
  };
}
