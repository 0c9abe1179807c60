import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FileDelivery } from '#delivery';
import { newId } from '#database';
import { MailFiles } from './mail-files.js';
import { MboxLines } from './mbox-lines.js';

let directory: string;
const files = new MailFiles('gw.test');

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'files-'));
});

afterEach(async () => {
  await rm(directory, { recursive: true });
});

function delivery(text: string, overrides: Partial<FileDelivery['message']> = {}): FileDelivery {
  const bytes = Buffer.from(text);
  const recipients = [{ id: newId(), address: 'b@there.test', route: 'files', attempts: 0 }];
  const message = {
    id: newId(),
    sender: 'a b@here.test',
    content: { kind: 'inline', bytes } as const,
    sizeBytes: bytes.length,
    body8bit: false,
    policyRevision: 1,
    acceptedAtMs: 1_700_000_000_123,
    recipients,
    ...overrides,
  };
  return { message, recipients };
}

describe('eml', () => {
  it('is one file per message, replaced by a repeated attempt', async () => {
    const one = delivery('Subject: x\r\n\r\n.y\r\n');
    const two = delivery('Subject: z\r\n\r\n');
    const path = join(directory, 'deep');
    const written = await files.deliver({ directory: path, format: 'eml' }, [one, two, one]);
    expect(written.map(({ answer }) => 'reply' in answer && answer.reply.code)).toEqual([250, 250, 250]);
    const names = await readdir(path);
    expect(names).toHaveLength(2);
    expect(names.every((name) => /^1700000000\.M[0-9a-f_-]+\.eml$/.test(name))).toBe(true);
    expect(await readFile(String(written[0]?.path), 'utf8')).toBe(
      'Return-Path: <a b@here.test>\r\nDelivered-To: b@there.test\r\nSubject: x\r\n\r\n.y\r\n',
    );
  });
});

describe('mbox', () => {
  const route = (): { directory: string; format: 'mbox' } => ({ directory: join(directory, 'box'), format: 'mbox' });
  const box = async (): Promise<string> => readFile(join(directory, 'box', 'mbox'), 'latin1');
  const FROM = 'From a_b@here.test Tue Nov 14 22:13:20 2023\n';
  const TRACE = 'Return-Path: <a b@here.test>\nDelivered-To: b@there.test\n';

  it('appends entries of mboxrd, each behind an empty line', async () => {
    const spooled = join(directory, 'spooled');
    await writeFile(spooled, 'Subject: s\r\n\r\n>From us\r\nno end');
    const fromSpool = delivery('', { sender: '', content: { kind: 'spool', file: spooled, sizeBytes: 30 } });
    const written = await files.deliver(route(), [delivery('Subject: x\r\n\r\nFrom me\r\n'), fromSpool]);
    expect(written.map(({ path }) => path)).toEqual(new Array(2).fill(join(directory, 'box', 'mbox')));
    expect(await box()).toBe(
      `${FROM}${TRACE}Subject: x\n\n>From me\n\n` +
        'From MAILER-DAEMON Tue Nov 14 22:13:20 2023\nReturn-Path: <>\nDelivered-To: b@there.test\n' +
        'Subject: s\n\n>>From us\nno end\n\n',
    );
    expect(await readdir(join(directory, 'box'))).toEqual(['mbox']);
  });

  it('begins behind an empty line, whatever a crash left', async () => {
    await mkdir(join(directory, 'box'));
    await writeFile(join(directory, 'box', 'mbox'), 'From x\nhalf a li');
    await files.deliver(route(), [delivery('Subject: x\r\n\r\n')]);
    expect(await box()).toBe(`From x\nhalf a li\n\n${FROM}${TRACE}Subject: x\n\n\n`);
  });

  it('takes back what could not be written whole', async () => {
    await files.deliver(route(), [delivery('Subject: first\r\n\r\n')]);
    const before = await box();
    const gone = delivery('', { content: { kind: 'spool', file: join(directory, 'gone'), sizeBytes: 1 } });
    const written = await files.deliver(route(), [gone, delivery('Subject: last\r\n\r\n')]);
    expect(written.map(({ answer }) => ('reply' in answer ? answer.reply.code : answer.fault.enhanced))).toEqual([
      '4.3.0',
      250,
    ]);
    expect(await box()).toBe(`${before}${FROM}${TRACE}Subject: last\n\n\n`);
  });

  it('of many at once come one after the other', async () => {
    const all = Array.from({ length: 30 }, (_, at) => delivery(`Subject: n${String(at)}\r\n\r\n`));
    await Promise.all(all.map(async (one) => files.deliver(route(), [one])));
    const text = await box();
    for (let at = 0; at < 30; at += 1) expect(text).toContain(`${FROM}${TRACE}Subject: n${String(at)}\n\n\n`);
  });

  it('waits for the lock of another program, and does not wait for a dead one', async () => {
    await mkdir(join(directory, 'box'));
    const lock = join(directory, 'box', 'mbox.lock');
    await writeFile(lock, '');
    const waiting = files.deliver(route(), [delivery('Subject: x\r\n\r\n')]);
    await new Promise((resolve) => setTimeout(resolve, 150));
    await expect(box()).rejects.toThrow();
    await utimes(lock, new Date(0), new Date(0));
    expect((await waiting)[0]?.answer).toMatchObject({ reply: { code: 250 } });
  });

  it('is no file: told, not thrown', async () => {
    await mkdir(join(directory, 'box', 'mbox'), { recursive: true });
    const [written] = await files.deliver(route(), [delivery('Subject: x\r\n\r\n')]);
    expect(written?.answer).toMatchObject({ fault: { enhanced: '4.3.5' } });
    await symlink('/nowhere/at/all', join(directory, 'link'));
    const [other] = await files.deliver({ directory: join(directory, 'link'), format: 'mbox' }, [delivery('')]);
    expect(other?.answer).toHaveProperty('fault');
  });

  it('quotes the same wherever the octets are cut, and back again it is the message', () => {
    const piece = fc.constantFrom('From ', '>', '>From x', '\r\n', 'text', '\n', 'Fro', 'm y', '\r\n\r\n');
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), fc.integer({ min: 1, max: 9 }), (pieces, size) => {
        const text = `${pieces.join('')}\r\n`;
        const encode = (step: number): string => {
          const lines = new MboxLines();
          const out: Buffer[] = [];
          for (let at = 0; at < text.length; at += step) out.push(lines.encode(Buffer.from(text.slice(at, at + step))));
          return Buffer.concat([...out, lines.end()]).toString('latin1');
        };
        const whole = encode(text.length);
        expect(encode(size)).toBe(whole);
        expect(whole).not.toMatch(/^From /m);
        expect(whole.replace(/^>(>*From )/gm, '$1')).toBe(text.replaceAll('\r\n', '\n'));
      }),
    );
  });
});
