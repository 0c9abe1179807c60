import { open } from 'node:fs/promises';

/** Makes the names in a directory outlive a crash: a synced file without its name is lost. */
export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
