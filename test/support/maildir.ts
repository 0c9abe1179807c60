/** Reads Maildirs: `new` and `cur`, never `tmp`. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { waitFor } from './wait.js';

/** Names of the messages, sorted; empty when the Maildir does not exist yet. */
function listMaildir(folder: string): string[] {
  return ['new', 'cur']
    .map((part) => join(folder, part))
    .filter((part) => existsSync(part))
    .flatMap((part) => readdirSync(part).map((name) => join(part, name)))
    .sort();
}

export function readMaildir(folder: string): Buffer[] {
  return listMaildir(folder).map((file) => readFileSync(file));
}

/** The first message for which `matches` holds, as soon as it is there. */
export async function messageIn(
  folder: string,
  matches: (content: Buffer) => boolean,
  deadlineMs = 15_000,
): Promise<Buffer> {
  const seen = new Set<string>();
  return waitFor(
    `a message in ${folder}`,
    () => {
      for (const file of listMaildir(folder)) {
        if (seen.has(file)) continue;
        const content = readFileSync(file);
        if (matches(content)) return content;
        seen.add(file);
      }
      return undefined;
    },
    { deadlineMs },
  );
}
