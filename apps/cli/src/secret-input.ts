/** Passwords and other secrets: asked for on a terminal without echo, or read from a pipe. Never from the arguments. */
import { readFileSync } from 'node:fs';
import { CommandError, EXIT } from './failure.js';

const MOST_OCTETS = 16 * 1024;
const [ENTER, LINE_FEED, INTERRUPT, END, BACKSPACE, DELETE] = ['\r', '\n', '\u0003', '\u0004', '\b', '\u007f'];

/** One line: the line break at its end does not belong to it. */
export async function readSecret(what: string): Promise<string> {
  if (!process.stdin.isTTY) return piped(what);
  const first = await typed(`${what}: `);
  if ((await typed(`${what}, once more: `)) === first) return first;
  throw new CommandError(EXIT.refused, 'the two are not the same; nothing was changed');
}

function piped(what: string): string {
  const octets = readFileSync(0);
  if (octets.length > MOST_OCTETS)
    throw new CommandError(EXIT.refused, `${what}: is longer than ${MOST_OCTETS} octets`);
  const text = decode(octets, what).replace(/\r?\n$/u, '');
  if (text === '') throw new CommandError(EXIT.usage, `${what}: standard input is empty`);
  return text;
}

function decode(octets: Uint8Array, what: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(octets);
  } catch {
    throw new CommandError(EXIT.refused, `${what}: is not UTF-8 text`);
  }
}

function typed(question: string): Promise<string> {
  const { stdin, stderr } = process;
  stderr.write(question);
  stdin.setRawMode(true);
  stdin.setEncoding('utf8');
  return new Promise((done, fail) => {
    let text = '';
    const end = (): void => {
      stdin.off('data', onData);
      stdin.setRawMode(false);
      stdin.pause();
      stderr.write('\n');
    };
    const onData = (keys: string): void => {
      for (const key of keys) {
        if (key === ENTER || key === LINE_FEED || key === END) {
          end();
          done(text);
          return;
        }
        if (key === INTERRUPT) {
          end();
          fail(new CommandError(EXIT.usage, 'interrupted; nothing was changed'));
          return;
        }
        text = key === BACKSPACE || key === DELETE ? Array.from(text).slice(0, -1).join('') : text + key;
      }
    };
    stdin.on('data', onData);
    stdin.resume();
  });
}
