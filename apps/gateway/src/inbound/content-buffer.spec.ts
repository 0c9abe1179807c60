import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { SpoolBodies } from './body-store.js';
import { ContentBuffer, SpoolFailure } from './content-buffer.js';
import { MemoryBudget } from './memory-budget.js';

const TRACE = Buffer.from('Received: here\r\n');

describe('content buffer', () => {
  let spoolDir: string;
  let budget: MemoryBudget;

  beforeEach(async () => {
    spoolDir = await mkdtemp(join(tmpdir(), 'postern-spool-'));
    budget = new MemoryBudget(10_000_000);
  });
  afterEach(async () => {
    await rm(spoolDir, { recursive: true });
  });

  const create = (id = 'm1'): ContentBuffer =>
    new ContentBuffer({ id, bodies: new SpoolBodies(spoolDir), inlineLimitBytes: 1024, budget, traceHeader: TRACE });

  it('keeps small content in memory, the trace header in front, and hashes only what was received', async () => {
    const buffer = create();
    const chunk = Buffer.from('Subject: x\r\n\r\nhello\r\n');
    expect(buffer.write(chunk)).toBeUndefined();
    chunk.fill(0); // the sink must have copied it
    const source = await buffer.finish();
    expect(source).toEqual({ kind: 'inline', bytes: Buffer.from(`${TRACE.toString()}Subject: x\r\n\r\nhello\r\n`) });
    expect(buffer.receivedBytes).toBe(21);
    expect(buffer.digest()).toBe(createHash('sha256').update('Subject: x\r\n\r\nhello\r\n').digest('hex'));
    buffer.release();
    expect(budget.usedBytes).toBe(0);
    expect(await readdir(spoolDir)).toEqual([]);
  });

  it('moves large content to the spool, byte for byte, and holds no more than a window of it', async () => {
    const buffer = create();
    const all: Buffer[] = [TRACE];
    for (let i = 0; i < 300; i += 1) {
      const chunk = Buffer.alloc(10_000, i % 251);
      all.push(chunk);
      await buffer.write(chunk);
      expect(budget.usedBytes).toBeLessThan(300_000);
    }
    const source = await buffer.finish();
    expect(source).toEqual({ kind: 'spool', file: 'm1', sizeBytes: TRACE.length + 3_000_000 });
    expect((await readFile(join(spoolDir, 'm1'))).equals(Buffer.concat(all))).toBe(true);
    expect(buffer.head().subarray(0, 1000).equals(Buffer.alloc(1000, 0))).toBe(true);
    expect(budget.usedBytes).toBe(0);
  });

  it('holds no more for content that comes octet by octet', async () => {
    const buffer = create();
    const before = process.memoryUsage();
    for (let i = 0; i < 100_000; i += 1) await buffer.write(Buffer.from([97 + (i % 26)]));
    const after = process.memoryUsage();
    expect(budget.usedBytes).toBeLessThan(200_000);
    expect(after.arrayBuffers - before.arrayBuffers).toBeLessThan(2_000_000);
    await buffer.finish();
    const stored = await readFile(join(spoolDir, 'm1'));
    expect([stored.length, stored.subarray(-4).toString()]).toEqual([TRACE.length + 100_000, 'abcd']);
    expect(budget.usedBytes).toBe(0);
  });

  it('tells whether 8-bit octets came, wherever they were', async () => {
    const plain = create('plain');
    await plain.write(Buffer.alloc(5000, 0x61));
    await plain.write(Buffer.alloc(5000, 0x7f));
    expect(plain.has8bit).toBe(false);
    const eight = create('eight');
    await eight.write(Buffer.from('Gr\u00fc\u00dfe\r\n'));
    await eight.write(Buffer.alloc(5000, 0x61));
    expect(eight.has8bit).toBe(true);
    plain.abort();
    eight.abort();
  });

  it('gives memory back and removes the file when the message is not accepted', async () => {
    const buffer = create();
    await buffer.write(Buffer.alloc(5000));
    await buffer.write(Buffer.alloc(5000));
    buffer.abort();
    buffer.abort();
    expect(budget.usedBytes).toBe(0);
    const deadlineMs = Date.now() + 5000;
    while ((await readdir(spoolDir)).length > 0 && Date.now() < deadlineMs) await new Promise(setImmediate);
    expect(await readdir(spoolDir)).toEqual([]);
  });

  it('lets go what cannot be spooled, and says so at the end', async () => {
    const buffer = new ContentBuffer({
      id: 'x',
      bodies: new SpoolBodies(join(spoolDir, 'missing')),
      inlineLimitBytes: 10,
      budget,
      traceHeader: TRACE,
    });
    await buffer.write(Buffer.alloc(100));
    await buffer.write(Buffer.alloc(1_000_000)); // the client does not know yet, and goes on
    expect(budget.usedBytes).toBe(0);
    expect(buffer.isInline).toBe(false);
    await expect(buffer.finish()).rejects.toThrow(SpoolFailure);
    buffer.abort();
    expect(budget.usedBytes).toBe(0);
  });
});
