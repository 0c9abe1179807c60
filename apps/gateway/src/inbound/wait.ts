/** Resolves after some time; at once where there is nothing to wait for. A process that ends does not wait for it. */
export function waitMs(delayMs: number): Promise<void> {
  if (delayMs <= 0) return Promise.resolve();
  return new Promise((resolve) => {
    setTimeout(resolve, delayMs).unref();
  });
}
