// `npm run send-test [-- --to ADDRESS] [--from ADDRESS] [--data-dir DIR]`: sends one message to the running gateway and
// shows the conversation. Speaks SMTP by itself, because a machine may have nothing but Node.
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';

const ANSWER_DEADLINE_MS = 30_000;
const root = resolve(import.meta.dirname, '..');

try {
  const { values } = parseArgs({
    options: { to: { type: 'string' }, from: { type: 'string' }, 'data-dir': { type: 'string' } },
  });
  const dataDir = resolve(values['data-dir'] ?? process.env.POSTERN_DATA_DIR ?? join(root, 'data'));
  await send(runningGateway(dataDir), values.from ?? 'someone@example.org', values.to ?? 'you@example.com');
} catch (error) {
  console.error(`send-test: ${error.message}`);
  process.exit(1);
}

function runningGateway(dataDir) {
  try {
    const [first] = JSON.parse(readFileSync(join(dataDir, 'run.json'), 'utf8')).smtp;
    return { port: first.port, host: { '0.0.0.0': '127.0.0.1', '::': '::1' }[first.address] ?? first.address };
  } catch {
    throw new Error(
      `nothing runs on ${dataDir}: \`npm start\` in another terminal, or name its directory with --data-dir`,
    );
  }
}

async function send({ host, port }, from, to) {
  const socket = connect({ host, port });
  socket.setTimeout(ANSWER_DEADLINE_MS, () => socket.destroy(new Error('the gateway does not answer')));
  const lines = createInterface({ input: socket, crlfDelay: Infinity })[Symbol.asyncIterator]();
  const failed = new Promise((_, fail) => socket.once('error', fail));
  const answer = () => Promise.race([replyFrom(lines), failed]);
  await answer();
  const steps = [`EHLO ${hostname()}`, `MAIL FROM:<${from}>`, `RCPT TO:<${to}>`, 'DATA', message(from, to)];
  for (const step of steps) {
    console.log(
      step
        .split('\r\n')
        .map((line) => `> ${line}`)
        .join('\n'),
    );
    socket.write(`${step}\r\n`);
    const reply = await answer();
    if (reply >= '400') throw new Error('the gateway refused; `npx postern tx list` says why');
  }
  socket.end('QUIT\r\n');
}

async function replyFrom(lines) {
  for (;;) {
    const { value, done } = await lines.next();
    if (done) throw new Error('the gateway closed the connection');
    console.log(`< ${value}`);
    if (/^\d{3}( |$)/.test(value)) return value;
  }
}

function message(from, to) {
  const id = `${Date.now()}.${process.pid}@${hostname()}`;
  const header = [
    `From: <${from}>`,
    `To: <${to}>`,
    'Subject: A test of Postern',
    `Date: ${rfc5322Date()}`,
    `Message-ID: <${id}>`,
  ];
  return [...header, '', 'It works.', '.'].join('\r\n');
}

function rfc5322Date() {
  return new Date().toUTCString().replace('GMT', '+0000');
}
