/** Tells the supervisor, or the terminal, why this process cannot run, and ends it. */

/** EX_CONFIG of sysexits.h: starting again would not help. */
const EXIT_CONFIGURATION = 78;

/** Never returns to its caller; the process ends once the message was handed over. */
export function failForGood(message: string): void {
  process.exitCode = EXIT_CONFIGURATION;
  const end = (): void => {
    process.exit(EXIT_CONFIGURATION);
  };
  if (process.send === undefined) {
    process.stderr.write(`gateway: ${message}\n`, end);
    return;
  }
  process.send({ kind: 'fatal', message }, undefined, undefined, end);
}

export function tellSupervisor(message: Readonly<Record<string, unknown>>): void {
  process.send?.(message);
}
