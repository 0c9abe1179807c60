/** A commit whose answer was lost must not leave rows with a node that does not know of them. */
import { createServer, connect, type Server, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { newId, openDatabase, type Database } from '#database';
import { createTestDatabase, type TestDatabase } from '../support/postgres.js';
import { eventually, makeMessage } from './message.js';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A way to the server that can be cut in one direction: statements arrive, answers do not. */
class Wire {
  readonly directory = mkdtempSync(join(tmpdir(), 'postern-wire-'));
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;
  /** Connections that have sent this text hear nothing any more. */
  deafAfter: string | undefined;

  async listen(target: string): Promise<void> {
    this.#server = createServer((client) => {
      const server = connect(target);
      let deaf = false;
      client.on('data', (chunk) => {
        if (this.deafAfter !== undefined && chunk.includes(this.deafAfter)) deaf = true;
        server.write(chunk);
      });
      server.on('data', (chunk) => {
        if (!deaf) client.write(chunk);
        else setTimeout(() => client.destroy(), 50);
      });
      for (const socket of [client, server]) {
        this.#sockets.add(socket);
        socket.on('error', () => undefined);
        socket.on('close', () => {
          client.destroy();
          server.destroy();
        });
      }
    });
    await new Promise<void>((resolve) => this.#server?.listen(join(this.directory, '.s.PGSQL.5432'), resolve));
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server?.close(resolve));
    rmSync(this.directory, { recursive: true, force: true });
  }
}

let database: TestDatabase;
let wire: Wire;
let db: Database;

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(async () => {
  await database.drop();
});

beforeEach(async () => {
  wire = new Wire();
  const url = new URL(database.url.replace('@/', '@localhost/'));
  const directory = url.searchParams.get('host') ?? '';
  await wire.listen(join(directory, '.s.PGSQL.5432'));
  db = await openDatabase({ url: database.url.replace(/host=[^&]*/, `host=${encodeURIComponent(wire.directory)}`) });
  await db.nodes.join('one');
});

afterEach(async () => {
  wire.deafAfter = undefined;
  await db.close();
  await wire.close();
  await database.query('delete from queue');
});

test('a claim that was committed without an answer is taken back', async () => {
  const message = makeMessage();
  await db.messages.accept(message);
  expect(await db.queue.claim(10)).toHaveLength(1);
  await db.queue.release(message.recipients.map(({ id }) => ({ recipientId: id, messageId: message.id })));
  wire.deafAfter = 'claim';
  await expect(db.queue.claim(10)).rejects.toMatchObject({ outcomeKnown: false });
  wire.deafAfter = undefined;
  expect((await database.query('select owner from queue where owner is not null')).length).toBe(1);
  await eventually(async () => (await db.queue.claim(10)).some(({ id }) => id === message.id));
});

test('so is a message that was accepted without an answer', async () => {
  await db.messages.accept(makeMessage({ leased: true }));
  const message = makeMessage({ leased: true, sender: `${newId()}@example.com` });
  wire.deafAfter = message.sender;
  await expect(db.messages.accept(message)).rejects.toMatchObject({ outcomeKnown: false });
  wire.deafAfter = undefined;
  await eventually(async () => (await db.queue.entries({ messageId: message.id })).data.length === 1);
  await eventually(async () => (await db.queue.claim(10)).some(({ id }) => id === message.id));
});
