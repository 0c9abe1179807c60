/** What a process of ours tells the supervisor that started it, and how it ends when it cannot run as configured. */
export type ProcessMessage =
  | { readonly kind: 'ready'; readonly url: string }
  | { readonly kind: 'done'; readonly adminKey?: string; readonly adminKeyFile: string; readonly adminKeyLost?: true }
  | { readonly kind: 'fatal'; readonly message: string };

/** Exit code of a configuration error: starting again would not help. */
const CONFIGURATION_ERROR = 78;

export function tellSupervisor(message: ProcessMessage): Promise<void> {
  return new Promise((resolve) => {
    if (process.send === undefined || !process.connected) resolve();
    else process.send(message, undefined, {}, () => resolve());
  });
}

export async function endAsMisconfigured(message: string): Promise<never> {
  process.stderr.write(`${message}\n`);
  await tellSupervisor({ kind: 'fatal', message });
  process.exit(CONFIGURATION_ERROR);
}
