/**
 * One message to where it belongs, now: to a host by name, or to the mail exchangers of each recipient's domain.
 * RFC 5321 s5.1 (order of MX, equals at random, ourselves cut off), RFC 7505 (null MX), s4.4 (trace).
 *
 * For programs that hand the outcome to their own client at once. The gateway does not use it: its worker in
 * libs/delivery queues, retries, bounces and keeps connections. What the sender asked about notices (RFC 3461) is passed
 * on. TLS is used where it is offered (RFC 7435). A message that has seen too many hosts is offered to nobody (RFC 5321
 * s6.3). Known gap: a next hop without DSN makes no notice of success, nor do we.
 */
import { isPermanent, isPositive, isTransient, parseMailbox, protocolName, receivedHeader } from '#smtp-core';
import type { Answer, ClientFault, ClientTransaction, RecipientResult, Reply } from '#smtp-core';
import { connectSmtp, SmtpConnectFault } from './client.js';
import type { SmtpTlsOptions } from './client-tls.js';
import type { SmtpConnectOptions } from './client.js';
import type { ServerSession } from './hooks.js';

/** What `collectMessages` hands over fits. */
export interface MessageToRelay extends Pick<
  ClientTransaction,
  'smtpUtf8' | 'ret' | 'envelopeId' | 'recipientParameters'
> {
  readonly sender: string;
  readonly recipients: readonly string[];
  /** Lines end in CR LF. */
  readonly content: Uint8Array;
  /** Where it came from; a `Received:` field that says so is put on top. */
  readonly session?: Pick<ServerSession, 'client' | 'helo' | 'protocol'> & Partial<Pick<ServerSession, 'tls' | 'auth'>>;
}

export interface RelayOptions extends Pick<SmtpConnectOptions, 'heloName' | 'localAddress' | 'timeouts' | 'signal'> {
  /**
   * `opportunistic`, the default: any certificate, and plaintext where there is no TLS or it fails. `encrypted` takes any
   * certificate, `verified` one for the name of the host; neither goes on in plaintext.
   */
  readonly tls?: SmtpTlsOptions['require'] | 'none';
  /** `Received:` fields above which a message is in a loop. Default 100, as many as RFC 5321 s6.3 wants to be let pass. */
  readonly maxHops?: number;
}

/** As `resolveMx` of node:dns/promises: rejects with `code` ENODATA when a name has no MX, ENOTFOUND when it is none. */
export type MxResolver = (
  domain: string,
) => Promise<readonly { readonly exchange: string; readonly priority: number }[]>;

const SMTP_PORT = 25;
const MAX_HOPS = 100;
const LF = 10;
const RECEIVED = 'received:';
const IN_UTF8 = { smtpUtf8: true } as const;
const LITERAL = /^\[(?:ipv6:)?([0-9a-f.:]+)\]$/i;

/** Offers the message to one host, a name or an address. Never rejects: faults are in the results, one per recipient. */
export async function relayToHost(
  message: MessageToRelay,
  options: RelayOptions & { readonly host: string; readonly port?: number },
): Promise<readonly RecipientResult[]> {
  const { host, port = SMTP_PORT, ...rest } = options;
  if (isLooping(message, options)) return refused(message.recipients, LOOP);
  return offer(withTrace(message, rest.heloName), [host], { ...rest, port });
}

/** Offers the message to the exchangers of each recipient's domain, best first. Never rejects. */
export async function relayByMx(
  message: MessageToRelay,
  options: RelayOptions & { readonly resolveMx: MxResolver; readonly port?: number },
): Promise<readonly RecipientResult[]> {
  const { resolveMx, port = SMTP_PORT, ...rest } = options;
  if (isLooping(message, options)) return refused(message.recipients, LOOP);
  const traced = withTrace(message, rest.heloName);
  const domainOf = (recipient: string): string => parseMailbox(recipient, IN_UTF8)?.domain ?? '';
  const domains = new Set(message.recipients.map(domainOf));
  const results = await Promise.all(
    Array.from(domains, async (domain) => {
      const recipients = message.recipients.filter((recipient) => domainOf(recipient) === domain);
      const hosts = await exchangersOf(domain, rest.heloName, resolveMx);
      if (!Array.isArray(hosts)) return refused(recipients, hosts);
      return offer(restrictedTo(traced, recipients), hosts, { ...rest, port });
    }),
  );
  const byAddress = new Map(results.flat().map((result) => [result.address, result]));
  return message.recipients.flatMap((recipient) => byAddress.get(recipient) ?? []);
}

/**
 * The one reply a client can be given for all its recipients: accepted only when every one is; temporary when another
 * attempt may help any of them, at the price of a second copy for those who have it already.
 */
export function answerFor(results: readonly RecipientResult[]): Answer {
  const replies = results.map(replyOf).filter((reply) => !isPositive(reply));
  const reply = replies.find(isTransient) ?? replies[0];
  return reply === undefined ? { effect: 'accept' } : { effect: 'refuse', reply };
}

function replyOf(result: RecipientResult): Reply {
  if ('fault' in result) {
    const { enhanced, message } = result.fault;
    return { code: enhanced.startsWith('5') ? 554 : 451, enhanced, lines: [message] };
  }
  const { reply } = result;
  // 1xx and 3xx here are no answer of a working server.
  if (isPositive(reply) || isTransient(reply) || isPermanent(reply)) return reply;
  return { code: 451, enhanced: '4.5.0', lines: ['The next hop gave an unexpected reply'] };
}

/** The same message for some of its recipients, each with its own parameters. */
function restrictedTo(message: MessageToRelay, recipients: readonly string[]): MessageToRelay {
  const { recipientParameters } = message;
  if (recipientParameters === undefined) return { ...message, recipients };
  const parametersOf = (address: string) => recipientParameters[message.recipients.indexOf(address)] ?? {};
  return { ...message, recipients, recipientParameters: recipients.map(parametersOf) };
}

function withTrace(message: MessageToRelay, hostname: string): MessageToRelay {
  const { session, recipients, smtpUtf8 } = message;
  if (session === undefined) return message;
  const recipient = recipients.length === 1 ? parseMailbox(recipients[0] ?? '', IN_UTF8) : undefined;
  const trace = receivedHeader({
    helo: session.helo,
    address: session.client.address,
    hostname,
    protocol: protocolName({ protocol: session.protocol, tls: session.tls, auth: session.auth, smtpUtf8 }),
    ...(session.tls === undefined ? {} : { tls: session.tls }),
    id: crypto.randomUUID(),
    ...(recipient === undefined ? {} : { recipient }),
    atMs: Date.now(),
  });
  return { ...message, content: Buffer.concat([Buffer.from(trace), message.content]) };
}

/** Best first; or why there is none. */
async function exchangersOf(domain: string, ownName: string, resolveMx: MxResolver): Promise<string[] | ClientFault> {
  if (domain === '') return noExchanger('5.1.3', 'the address has no domain');
  const literal = LITERAL.exec(domain)?.[1];
  if (literal !== undefined) return [literal];
  const isSelf = (name: string): boolean => name.toLowerCase() === ownName.toLowerCase();
  const records = await recordsOf(domain, resolveMx);
  if (!Array.isArray(records)) return records;
  if (records.length === 1 && records[0]?.exchange === '') {
    return noExchanger('5.1.10', `domain ${domain} accepts no mail (null MX)`);
  }
  const ownPriority = Math.min(...records.filter(({ exchange }) => isSelf(exchange)).map(({ priority }) => priority));
  const usable = records
    .filter(({ exchange, priority }) => exchange !== '' && priority < ownPriority)
    .map((record) => ({ ...record, chance: Math.random() }))
    .toSorted((a, b) => a.priority - b.priority || a.chance - b.chance);
  if (usable.length === 0) return noExchanger('5.4.6', `mail for ${domain} leads to no host but this one`);
  return usable.map(({ exchange }) => exchange);
}

type MxRecord = Awaited<ReturnType<MxResolver>>[number];

async function recordsOf(domain: string, resolveMx: MxResolver): Promise<MxRecord[] | ClientFault> {
  try {
    const records = await resolveMx(domain);
    return records.length > 0 ? [...records] : [{ exchange: domain, priority: 0 }];
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENODATA') return [{ exchange: domain, priority: 0 }];
    if (code === 'ENOTFOUND') return noExchanger('5.1.2', `domain ${domain} does not exist`);
    return noExchanger('4.4.3', `mail exchangers of ${domain} cannot be found out`);
  }
}

function noExchanger(enhanced: string, message: string): ClientFault {
  return { stage: 'connect', reason: 'unreachable', progress: 'none', enhanced, message };
}

const LOOP = noExchanger('5.4.6', 'too many hops, this message seems to loop');

function isLooping({ content }: MessageToRelay, { maxHops = MAX_HOPS }: RelayOptions): boolean {
  return receivedFields(content) > maxHops;
}

/** How often the header says `Received:`. Each octet of the header is looked at once. */
function receivedFields(content: Uint8Array): number {
  let count = 0;
  for (let at = 0; at < content.length;) {
    const lf = content.indexOf(LF, at);
    const end = lf < 0 ? content.length : lf;
    if (end - at <= 1) return count;
    if (
      Buffer.from(content.subarray(at, Math.min(end, at + RECEIVED.length)))
        .toString('latin1')
        .toLowerCase() === RECEIVED
    )
      count += 1;
    at = end + 1;
  }
  return count;
}

function refused(recipients: readonly string[], fault: ClientFault): RecipientResult[] {
  return recipients.map((address) => ({ address, stage: fault.stage, fault }));
}

/** One host after the other, each with the recipients that may still hope. */
async function offer(
  message: MessageToRelay,
  hosts: readonly string[],
  options: RelayOptions & { readonly port: number },
): Promise<readonly RecipientResult[]> {
  const results = new Map<string, RecipientResult>();
  for (const host of hosts) {
    const recipients = message.recipients.filter((address) => isOpen(results.get(address)));
    if (recipients.length === 0) break;
    const told = await attempt(restrictedTo(message, recipients), host, options);
    for (const result of told) results.set(result.address, result);
  }
  return message.recipients.flatMap((address) => results.get(address) ?? []);
}

/** INVARIANT (no second copy): what a host may have accepted is offered to no other. */
function isOpen(result: RecipientResult | undefined): boolean {
  if (result === undefined) return true;
  return 'fault' in result ? result.fault.progress !== 'sent' : isTransient(result.reply);
}

async function attempt(
  message: MessageToRelay,
  host: string,
  options: RelayOptions & { readonly port: number },
): Promise<readonly RecipientResult[]> {
  const { tls = 'opportunistic', maxHops: _, ...rest } = options;
  try {
    const secured = tls === 'none' ? {} : { tls: { mode: 'starttls' as const, require: tls, serverName: host } };
    const connection = await connectSmtp({ ...rest, ...secured, host, address: host });
    const { content } = message;
    const body8bit = content.some((octet) => octet > 127);
    const result = await connection.send({ ...message, sizeBytes: content.length, body8bit });
    void connection.quit(); // nobody waits for the goodbye
    return result.recipients;
  } catch (error) {
    if (!(error instanceof SmtpConnectFault)) throw error;
    // What cannot be had in cipher goes in the clear, as it would to a host that offers no TLS.
    if (error.fault.stage === 'tls' && tls === 'opportunistic')
      return attempt(message, host, { ...options, tls: 'none' });
    return refused(message.recipients, error.fault);
  }
}
