/** `postern dkim`: keys that mail is signed with, from their making to their place in the DNS. */
import { generateKeyPairSync } from 'node:crypto';
import { Option, type Command } from 'commander';
import { show, type CommandContext } from '../context.js';
import { publishedProblem, txtRecord, type DnsRecord } from '../dkim-record.js';
import { CommandError, EXIT } from '../failure.js';
import { reasonHeader } from '../headers.js';
import { repeated, wholeNumber } from '../options.js';

interface KeygenOptions {
  readonly domain: string;
  readonly selector: string;
  readonly type: 'rsa' | 'ed25519';
  readonly bits: number;
  readonly secret?: string;
  readonly replace?: true;
  readonly reason?: string;
}

interface CheckOptions {
  readonly domain?: string;
  readonly selector?: string;
  readonly secret?: string;
  readonly dnsServer: readonly string[];
}

interface PublicKeyAnswer {
  readonly algorithm: string;
  readonly bits?: number;
  readonly record: string;
}

interface Key {
  readonly domain: string;
  readonly selector: string;
  readonly secret: string;
}

const LIVE_POLICY = '/v1/policies/main';
const pathOf = (secret: string): string => `/v1/secrets/${encodeURIComponent(secret)}`;

export function dkimCommands(program: Command, context: CommandContext): void {
  const dkim = program.command('dkim').description('keys that mail is signed with');
  dkim
    .command('keygen')
    .description('make a key, keep it as a secret, and print the DNS record that publishes it')
    .requiredOption('--domain <domain>', 'domain that signs, as in From')
    .requiredOption('--selector <selector>', 'name of the key below the domain, such as `s1`')
    .addOption(new Option('--type <type>', 'kind of key').choices(['rsa', 'ed25519']).default('rsa'))
    .option('--bits <n>', 'of an RSA key: 2048 to 4096', wholeNumber, 2048)
    .option('--secret <name>', 'name of the secret (else `dkim-DOMAIN-SELECTOR`)')
    .option('--replace', 'also where there is such a secret already')
    .option('--reason <text>', 'why, kept in the audit')
    .action((options: KeygenOptions) => keygen(context, options));
  dkim
    .command('check')
    .description('ask the DNS whether the keys are published: one key, or all that the live policy signs with')
    .option('--domain <domain>', 'domain that signs')
    .option('--selector <selector>', 'name of the key below the domain')
    .option('--secret <name>', 'name of the secret (else as the live policy says, or `dkim-DOMAIN-SELECTOR`)')
    .option('--dns-server <address>', 'ask this one, `ADDRESS` or `ADDRESS:PORT` (several times)', repeated, [])
    .action((options: CheckOptions) => check(context, options));
}

async function keygen(context: CommandContext, options: KeygenOptions): Promise<void> {
  const { domain, selector, reason } = options;
  const secret = options.secret ?? secretName(options);
  const headers = { ...(await precondition(context, secret, options.replace)), ...reasonHeader(reason) };
  const json = { value: newKey(options), note: `DKIM key ${selector} of ${domain}` };
  await context.api().json({ method: 'PUT', path: pathOf(secret), json, headers });
  const { algorithm, bits, record } = await publicKey(context, secret);
  const dns = txtRecord(domain, selector, record);
  show(context, { domain, selector, secret, algorithm, bits, record: dns }, () => [
    `the key is kept as secret ${secret} (${algorithm}${bits === undefined ? '' : `, ${bits} bits`})`,
    '',
    'publish it in the DNS:',
    '',
    dns.zoneLine,
    '',
    'name it in the policy:',
    '',
    'signing:',
    `  - { domain: ${domain}, selector: ${/^\d+$/u.test(selector) ? `"${selector}"` : selector}, key: secret/${secret} }`,
    '',
    `then see whether it is there: postern dkim check --domain ${domain} --selector ${selector}`,
  ]);
}

function secretName({ domain, selector }: { readonly domain: string; readonly selector: string }): string {
  return `dkim-${domain}-${selector}`.toLowerCase();
}

function newKey({ type, bits }: KeygenOptions): string {
  if (bits < 2048 || bits > 4096) throw new CommandError(EXIT.usage, '--bits: expected 2048 to 4096');
  const { privateKey } =
    type === 'rsa' ? generateKeyPairSync('rsa', { modulusLength: bits }) : generateKeyPairSync('ed25519');
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}

/** A key that signs now is not lost by a typing error. */
async function precondition(
  context: CommandContext,
  secret: string,
  replace: true | undefined,
): Promise<Record<string, string>> {
  const now = await found(context, pathOf(secret));
  if (now === undefined) return { 'If-None-Match': '*' };
  if (replace === true) return { 'If-Match': now.headers.get('etag') ?? '*' };
  throw new CommandError(EXIT.refused, `there is a secret ${secret} already`, [
    'take another selector, so that the old key stays published while mail signed with it is under way; or --replace it',
  ]);
}

async function found(
  context: CommandContext,
  path: string,
): Promise<{ readonly text: string; readonly headers: Headers } | undefined> {
  try {
    return await context.api().send({ path });
  } catch (error) {
    const problem = error instanceof CommandError ? (error.problem as { status?: number } | undefined) : undefined;
    if (problem?.status === 404) return undefined;
    throw error;
  }
}

function publicKey(context: CommandContext, secret: string): Promise<PublicKeyAnswer> {
  return context.api().json<PublicKeyAnswer>({ path: `${pathOf(secret)}/public-key` });
}

async function check(context: CommandContext, options: CheckOptions): Promise<void> {
  const keys = await keysToCheck(context, options);
  if (keys.length === 0)
    throw new CommandError(EXIT.refused, 'the live policy signs no mail; name --domain and --selector');
  const results: (Key & { readonly record: DnsRecord; readonly problem?: string })[] = [];
  for (const key of keys) {
    const { record } = await publicKey(context, key.secret);
    const dns = txtRecord(key.domain, key.selector, record);
    const problem = await publishedProblem(dns, options.dnsServer);
    results.push({ ...key, record: dns, ...(problem === undefined ? {} : { problem }) });
  }
  const missing = results.filter(({ problem }) => problem !== undefined);
  show(context, { keys: results }, () =>
    results.map(({ record, problem }) => `${record.name}: ${problem ?? 'is published'}`),
  );
  if (missing.length === 0) return;
  const lines = missing.flatMap(({ record }) => ['', record.zoneLine]);
  throw new CommandError(
    EXIT.refused,
    `${missing.length} of ${results.length} keys are not published as they are used`,
    lines,
  );
}

async function keysToCheck(context: CommandContext, options: CheckOptions): Promise<readonly Key[]> {
  const { domain, selector, secret } = options;
  if (domain !== undefined && selector !== undefined && secret !== undefined) return [{ domain, selector, secret }];
  const live = (await signingKeys(context)).filter(
    (key) => (domain ?? key.domain) === key.domain && (selector ?? key.selector) === key.selector,
  );
  if (live.length > 0 || domain === undefined || selector === undefined) return live;
  return [{ domain, selector, secret: secretName({ domain, selector }) }];
}

/** As the live policy has them. */
async function signingKeys(context: CommandContext): Promise<readonly Key[]> {
  const live = await found(context, LIVE_POLICY);
  if (live === undefined) return [];
  const { source } = JSON.parse(live.text) as { readonly source: string };
  const { readPolicy } = await import('#policy');
  const read = readPolicy(source);
  if (!read.ok) return [];
  return (read.document.signing ?? []).map(({ domain, selector, key }) => ({
    domain,
    selector,
    secret: key.slice('secret/'.length),
  }));
}
