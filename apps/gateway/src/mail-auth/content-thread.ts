/** The thread that checks signatures: content in, questions to the DNS out, results out. It has no sockets and no files. */
import { parentPort } from 'node:worker_threads';
import { ContentCheck, type DnsReply, type TextNames } from '#mail-auth';
import type { FromThread, ToThread } from './thread-messages.js';

const port = parentPort;
if (port === null) throw new Error('content-thread runs as a worker thread only');

const checks = new Map<number, ContentCheck>();
const questions = new Map<number, (reply: DnsReply<string>) => void>();
let lastQuestion = 0;

function say(message: FromThread): void {
  port?.postMessage(message);
}

const names: TextNames = {
  txt: (name) =>
    new Promise((resolve) => {
      lastQuestion += 1;
      questions.set(lastQuestion, resolve);
      say({ kind: 'question', question: lastQuestion, name });
    }),
};

function take({ id, blocks, ends }: Extract<ToThread, { kind: 'content' }>): void {
  const check = checks.get(id) ?? new ContentCheck({ nowMs: Date.now() });
  for (const block of blocks) check.write(block);
  if (!ends) {
    checks.set(id, check);
    say({ kind: 'taken', id, bytes: blocks.reduce((sum, { length }) => sum + length, 0) });
    return;
  }
  checks.delete(id);
  void check.end(names).then((results) => {
    say({ kind: 'results', id, results });
  });
}

port.on('message', (message: ToThread) => {
  switch (message.kind) {
    case 'content':
      take(message);
      break;
    case 'drop':
      checks.delete(message.id);
      break;
    case 'answer':
      questions.get(message.question)?.(message.reply);
      questions.delete(message.question);
      break;
  }
});
