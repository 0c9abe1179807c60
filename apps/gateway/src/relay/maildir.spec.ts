import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FileDelivery } from '#delivery';
import { newId } from '#database';
import { DirectoryStore } from './maildir.js';
import { readContentHead } from './smtp-transport.js';

let directory: string;
const store = new DirectoryStore('maildir', 'gw/test:1');

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'maildir-'));
});

afterEach(async () => {
  await chmod(directory, 0o700);
  await rm(directory, { recursive: true });
});

function delivery(overrides: Partial<FileDelivery['message']> = {}, addresses = ['b@there.test']): FileDelivery {
  const bytes = Buffer.from('Subject: x\r\n\r\n.caf\u00e9\r\n');
  const recipients = addresses.map((address) => ({ id: newId(), address, route: 'capture', attempts: 0 }));
  return {
    message: {
      id: newId(),
      sender: 'a@here.test',
      content: { kind: 'inline', bytes },
      sizeBytes: bytes.length,
      body8bit: true,
      policyRevision: 1,
      acceptedAtMs: 1_700_000_000_123,
      recipients,
      ...overrides,
    },
    recipients,
  };
}

describe('a delivery', () => {
  it('appears whole in new, with its trace on top and the content unchanged', async () => {
    const path = join(directory, 'deep', 'box');
    const [written] = await store.deliver(path, [delivery({}, ['b@there.test', '"c d"@there.test'])]);
    expect(written?.answer).toMatchObject({ stage: 'file', reply: { code: 250 } });
    const [name = '', ...others] = await readdir(join(path, 'new'));
    expect(others).toEqual([]);
    expect(name).toMatch(/^1700000000\.M[0-9a-f_-]+\.gw_test_1$/);
    expect(written?.path).toBe(join(path, 'new', name));
    expect(await readFile(join(path, 'new', name), 'utf8')).toBe(
      'Return-Path: <a@here.test>\r\nDelivered-To: b@there.test\r\nDelivered-To: "c d"@there.test\r\nSubject: x\r\n\r\n.caf\u00e9\r\n',
    );
    expect((await stat(join(path, 'new', name))).mode & 0o777).toBe(0o600);
    expect(await readdir(join(path, 'tmp'))).toEqual([]);
    expect((await stat(join(path, 'cur'))).isDirectory()).toBe(true);
  });

  it('of the same rows again replaces the file instead of doubling it', async () => {
    const same = delivery();
    await store.deliver(directory, [same]);
    await store.deliver(directory, [same]);
    expect((await readdir(join(directory, 'new'))).length).toBe(1);
  });

  it('is one of many in a batch, and large ones come from the spool', async () => {
    const spool = join(directory, 'spool.eml');
    const large = Buffer.from('Subject: large\r\n\r\n' + 'x'.repeat(70).concat('\r\n').repeat(50_000));
    await writeFile(spool, large);
    const spooled = delivery({ content: { kind: 'spool', file: spool, sizeBytes: large.length } });
    const answers = await store.deliver(directory, [...Array.from({ length: 40 }, () => delivery()), spooled]);
    expect(answers.every(({ answer }) => 'reply' in answer)).toBe(true);
    expect((await readdir(join(directory, 'new'))).length).toBe(41);
    expect((await readFile(answers[40]!.path)).subarray(-large.length).equals(large)).toBe(true);
    const head = await readContentHead(spooled.message.content, 20);
    expect(Buffer.from(head).toString()).toBe('Subject: large\r\n\r\nxx');
  });

  it('cannot smuggle a header line by an address', async () => {
    const [written] = await store.deliver(directory, [delivery({ sender: 'a\r\nX-Evil: 1' }, ['b\n@there.test'])]);
    const text = await readFile(written!.path, 'utf8');
    expect(text.split('\r\n').slice(0, 3)).toEqual([
      'Return-Path: <a??X-Evil: 1>',
      'Delivered-To: b?@there.test',
      'Subject: x',
    ]);
  });
});

describe('a failure', () => {
  it('is temporary, named, and leaves nothing behind', async () => {
    const missing = delivery({ content: { kind: 'spool', file: join(directory, 'gone'), sizeBytes: 3 } });
    const [bad, good] = await store.deliver(directory, [missing, delivery()]);
    expect(bad?.answer).toMatchObject({ stage: 'file', fault: { enhanced: '4.3.0' } });
    expect(good?.answer).toMatchObject({ reply: { code: 250 } });
    expect(await readdir(join(directory, 'tmp'))).toEqual([]);
  });

  it('of the directory concerns every delivery', async () => {
    const file = join(directory, 'file');
    await writeFile(file, '');
    const answers = await store.deliver(join(file, 'box'), [delivery(), delivery()]);
    expect(answers.map(({ answer }) => ('fault' in answer ? answer.fault.enhanced : ''))).toEqual(['4.3.5', '4.3.5']);
  });
});
