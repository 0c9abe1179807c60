/**
 * What `libs/smtp-net/README.md` shows runs, as a program of its own on the built library: a client nobody here wrote
 * sends to it, a server nobody here wrote takes what it relays. Only ports are put in.
 */
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { CertificateAuthority } from '../support/certificates.js';
import { DnsServer } from '../support/dns-server.js';
import { ForeignMx } from '../support/foreign-mx.js';
import { runProgram } from '../support/run-program.js';
import { PROJECT } from '../support/running-postern.js';
import { nodeMailer } from '../support/secure-senders.js';
import { sendByNodemailer } from '../support/senders.js';
import { HopelessError, waitFor } from '../support/wait.js';
import { Workspace } from '../support/workspace.js';

const README = readFileSync(join(PROJECT, 'libs/smtp-net/README.md'), 'utf8');
const BLOCKS = [...README.matchAll(/^```js\n([\s\S]*?)^```$/gm)].map(([, code = '']) => code);
const BUILT = process.env['POSTERN_UNDER_TEST'] ?? PROJECT;
const LIBRARY = pathToFileURL(join(BUILT, 'dist/libs/smtp-net/src/index.js')).href;
const CONTENT = Buffer.from('Subject: hello\r\n\r\n.a dot\r\n');

const workspace = new Workspace('synopsis');
let mx: ForeignMx;
let dns: DnsServer;

beforeAll(async () => {
  mx = await ForeignMx.listen();
  workspace.use({ stop: () => mx.close() });
  dns = await DnsServer.listen({ 'dest.test': { mx: [[10, 'localhost']] }, 'null.test': { mx: [[0, '']] } });
  workspace.use({ stop: () => dns.close() });
});
afterAll(() => workspace.close());

/** A block with the words replaced, each of which must be there. */
function block(holds: string, words: Readonly<Record<string, string>>): string {
  const found = BLOCKS.find((code) => code.includes(holds));
  if (found === undefined) throw new Error(`no block holds \`${holds}\``);
  const library = found.includes("'#smtp-net'") ? { "'#smtp-net'": `'${LIBRARY}'` } : {};
  return Object.entries({ ...library, ...words }).reduce((code, [word, instead]) => {
    if (!code.includes(word)) throw new Error(`\`${word}\` is not in the block`);
    return code.replace(word, instead);
  }, found);
}

/** Runs the program until the spec ends; resolves with the port it says it listens on. */
async function listening(name: string, code: string): Promise<{ port: number; said: () => string }> {
  const file = workspace.path(`${name}.mjs`);
  const preload = workspace.path('dns.mjs');
  writeFileSync(file, code);
  writeFileSync(preload, `import { setServers } from 'node:dns'; setServers(['${dns.address}']);`);
  const child = spawn(process.execPath, ['--import', pathToFileURL(preload).href, file], { stdio: 'pipe' });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (said += chunk.toString()));
  workspace.use({
    stop: async () => {
      child.kill('SIGKILL');
      await waitFor(`${name} to end`, () => child.exitCode !== null || child.signalCode !== null);
    },
  });
  const port = await waitFor(`${name} to listen`, () => {
    if (child.exitCode !== null) throw new HopelessError(said);
    return /listening on port (\d+)/.exec(said)?.[1];
  });
  return { port: Number(port), said: () => said };
}

const mail = (port: number, recipient: string): Parameters<typeof sendByNodemailer>[0] => ({
  port,
  sender: 'ann@client.test',
  recipients: [recipient],
  content: CONTENT,
});

describe('the synopsis', () => {
  test('relays to the mail exchangers, and tells the client their answer', async () => {
    const code = block('relayByMx', {
      'port: 2525': 'port: 0',
      'resolveMx }))': `resolveMx, port: ${String(mx.port)} }))`,
    });
    const { port, said } = await listening('by-mx', code);
    await sendByNodemailer(mail(port, 'bob@dest.test'));
    expect(said()).toContain(`${String(CONTENT.length)} octets from <ann@client.test> for bob@dest.test`);
    const [relayed] = mx.accepted;
    expect([relayed?.sender, relayed?.recipients]).toEqual(['ann@client.test', ['bob@dest.test']]);
    expect(relayed?.content.toString()).toMatch(
      /^Received: from nodemailer\.test \(\[127\.0\.0\.1\]\)\r\n\tby relay\.example\.com with ESMTP [^]*;\r\n.*\r\nSubject: hello\r\n\r\n\.a dot\r\n$/,
    );
    await expect(sendByNodemailer(mail(port, 'bob@null.test'))).rejects.toThrow('554 5.1.10');
    await expect(sendByNodemailer(mail(port, 'bob@nowhere.test'))).rejects.toThrow('554 5.1.2');
  });

  test('relays to a given host as the line below it says', async () => {
    const instead = /`(relayToHost\(.*?\))`/.exec(README)?.[1] ?? '';
    const to = instead.replace("'mail.example.com', port: 25", `'127.0.0.1', port: ${String(mx.port)}`);
    const code = block('relayByMx', {
      'port: 2525': 'port: 0',
      'relayByMx }': 'relayToHost }',
      'relayByMx(message, { heloName, resolveMx })': to,
    });
    const { port } = await listening('to-host', code);
    const before = mx.accepted.length;
    await sendByNodemailer(mail(port, 'bob@anywhere.test'));
    expect(mx.accepted.length).toBe(before + 1);
    mx.script = { at: { rcpt: '550 5.1.1 No such user\r\n' } };
    await expect(sendByNodemailer(mail(port, 'eve@anywhere.test'))).rejects.toThrow('550 5.1.1 No such user');
    mx.script = {};
  });
});

describe('the other examples', () => {
  test('the hooks decide, and content streams into a file', async () => {
    const hooks = ['refuse', 'connect', 'helo', 'mail', 'rcpt', 'data'].map((name) =>
      BLOCKS.find((code) => code.includes(`const ${name} = `)),
    );
    const file = workspace.path('message-');
    const code = [
      `import { createSmtpServer } from '${LIBRARY}';`,
      ...hooks.map((hook) => hook?.replace('message-', file)),
      'const hooks = { connect, helo, mail, rcpt, data, message };',
      "const server = createSmtpServer({ hostname: 'hooks.test', hooks });",
      "const { port } = await server.listen({ host: '127.0.0.1', port: 0 });",
      'console.log(`listening on port ${port}`);',
    ].join('\n');
    const { port } = await listening('hooks', code);
    await expect(sendByNodemailer(mail(port, 'bob@dest.test'))).rejects.toThrow('550 5.7.1 Relaying denied');
    await sendByNodemailer(mail(port, 'bob@example.com'));
    const client = workspace.path('client.mjs');
    writeFileSync(client, block('connectSmtp', { 'port: 2525': `port: ${String(port)}` }));
    expect(await runProgram(process.execPath, [client])).toMatchObject({ code: 0, stdout: 'b@example.com: 250\n' });
    const kept = readdirSync(workspace.folder).filter((name) => name.startsWith('message-'));
    expect(kept.map((name) => readFileSync(workspace.path(name), 'utf8')).sort()).toEqual([
      CONTENT.toString(),
      'Subject: hello\r\n\r\nHello.\r\n',
    ]);
  });

  test('TLS and AUTH: who has signed in may send anywhere', async () => {
    const authority = await CertificateAuthority.create();
    const { certificate, key } = await authority.issue({ names: ['localhost'] });
    writeFileSync(workspace.path('certificate.pem'), certificate);
    writeFileSync(workspace.path('key.pem'), key);
    writeFileSync(workspace.path('authority.pem'), authority.certificate);
    const settings = block('createServerContext', {
      'certificate.pem': workspace.path('certificate.pem'),
      'key.pem': workspace.path('key.pem'),
      'port: 587': 'port: 0',
      'port: 465': 'port: 0',
    });
    const code = [
      `import { createSmtpServer } from '${LIBRARY}';`,
      block('const refuse = ', {}),
      block('const rcpt = ', {}),
      block('const authenticate = ', {}),
      settings,
      'const hooks = { rcpt, authenticate, scramCredentials, mail: ({ auth, tls }) => (console.log(auth, tls), accept) };',
      "const server = createSmtpServer({ hostname: 'localhost', hooks });",
      'const first = await server.listen(submission);',
      'const second = await server.listen(submissions);',
      'console.log(`listening on port ${first.port} and ${second.port}`);',
    ].join('\n');
    const { port, said } = await listening('secure', code);
    const implicitPort = Number(/ and (\d+)/.exec(said())?.[1]);
    const mail = { sender: 'ann@client.test', recipient: 'bob@dest.test', content: CONTENT };
    const secure = { ...mail, authority: workspace.path('authority.pem') };
    const auth = { mechanism: 'PLAIN', username: 'ann', password: 'secret' };
    await nodeMailer({ ...secure, port, tls: 'starttls', auth });
    await nodeMailer({ ...secure, port: implicitPort, tls: 'implicit', auth: { ...auth, mechanism: 'LOGIN' } });
    await expect(nodeMailer({ ...secure, port, tls: 'starttls' })).rejects.toThrow('530 5.7.0');
    const wrong = { ...auth, password: 'wrong' };
    await expect(nodeMailer({ ...secure, port, tls: 'starttls', auth: wrong })).rejects.toThrow('535 5.7.8');
    const program = [
      `import { connectSmtp, tlsContext } from '${LIBRARY}';`,
      "import { readFileSync } from 'node:fs';",
      `const context = tlsContext({ authorities: readFileSync('${workspace.path('authority.pem')}', 'utf8') });`,
      `const where = { host: 'localhost', address: '127.0.0.1', port: ${String(port)}, heloName: 'client.test' };`,
      "const tls = { mode: 'starttls', require: 'verified', serverName: 'localhost', context };",
      "const auth = { username: 'ann', password: 'secret', mechanisms: ['SCRAM-SHA-256'] };",
      'const connection = await connectSmtp({ ...where, tls, auth });',
      'console.log(connection.tls.version);',
      'await connection.quit();',
    ].join('\n');
    const client = workspace.path('secure-client.mjs');
    writeFileSync(client, program);
    expect(await runProgram(process.execPath, [client])).toMatchObject({ code: 0, stdout: 'TLSv1.3\n' });
    expect(said()).toContain("mechanism: 'PLAIN'");
  });
});
