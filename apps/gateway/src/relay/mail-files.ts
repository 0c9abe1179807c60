/** The relay's way out to disk, in the format that the route names. */
import type { FileDelivery, FileFormat, FileRoute, FileStore } from '#delivery';
import { DirectoryStore } from './maildir.js';
import { MboxStore } from './mbox.js';
import type { Written } from './message-file.js';

interface Store {
  deliver(directory: string, deliveries: readonly FileDelivery[]): Promise<readonly Written[]>;
}

export class MailFiles implements FileStore {
  readonly #stores: Readonly<Record<FileFormat, Store>>;

  constructor(hostname: string) {
    this.#stores = {
      maildir: new DirectoryStore('maildir', hostname),
      eml: new DirectoryStore('eml', hostname),
      mbox: new MboxStore(),
    };
  }

  deliver(
    { directory, format }: Pick<FileRoute, 'directory' | 'format'>,
    deliveries: readonly FileDelivery[],
  ): Promise<readonly Written[]> {
    return this.#stores[format].deliver(directory, deliveries);
  }
}
