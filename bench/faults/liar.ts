/**
 * The control: a server that says 250 before it has stored anything, and relays a moment later. An account that does not
 * catch it is worth nothing. Runs as a process of its own, so that it can be killed: `node liar.js PORT HOP_PORT`.
 */
import { connect, createServer } from 'node:net';
import { fileURLToPath } from 'node:url';

const LATER_MS = 300;
const END = '\r\n.\r\n';

function serve(port: number, hopPort: number): void {
  createServer((socket) => {
    let text = '';
    let inContent = false;
    socket.setEncoding('latin1');
    socket.on('error', () => undefined);
    socket.write('220 liar.test\r\n');
    socket.on('data', (chunk: string) => {
      text += chunk;
      for (;;) {
        const end = text.indexOf(inContent ? END : '\r\n');
        if (end < 0) return;
        const part = text.slice(0, end);
        text = text.slice(end + (inContent ? END.length : 2));
        if (inContent) setTimeout(() => relay(`${part}\r\n`, hopPort), LATER_MS);
        const begins = !inContent && part.toUpperCase() === 'DATA';
        socket.write(begins ? '354 go on\r\n' : '250 2.0.0 ok\r\n');
        inContent = begins;
      }
    });
  }).listen(port, '127.0.0.1');
}

function relay(content: string, hopPort: number): void {
  const socket = connect({ port: hopPort, host: '127.0.0.1' });
  socket.on('error', () => undefined);
  const script = ['EHLO liar.test', 'MAIL FROM:<ann@client.test>', 'RCPT TO:<bob@elsewhere.test>', 'DATA'];
  socket.write(`${script.join('\r\n')}\r\n`, 'latin1');
  socket.end(`${content}.\r\nQUIT\r\n`, 'latin1');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) serve(Number(process.argv[2]), Number(process.argv[3]));
