/**
 * Answers about AUTH: names and passwords go to the authenticator, its delays are kept, and every exchange that gave a name
 * is written down. Passwords are passed on and never kept.
 */
import { newId } from '#database';
import type { AuditEvent } from '#audit';
import type { Decision } from '#policy';
import type {
  AuthOutcome,
  AuthRefusal,
  PasswordAnswer,
  PasswordCredentials,
  ScramCredentials,
  ServerSession,
} from '#smtp-net';
import type { LimitGate } from '../limits/limit-gate.js';
import type { LivePolicy } from '../policy/policy-holder.js';
import { AUTHENTICATION_REPLIES, type AuthenticationRefused, type Authenticator } from './authenticator.js';
import { stateOf, type InboundSession } from './inbound-session.js';
import { waitMs } from './wait.js';

/** What a client sends as its name is recorded, but not at any length. */
const MAX_USERNAME = 255;
const NOBODY: Decision = { verdict: 'accept', by: '', client: 'none', tags: [], answer: 'now' };

export interface AuthDependencies {
  readonly limits: LimitGate;
  readonly currentPolicy: () => LivePolicy | undefined;
  readonly authenticator: Authenticator;
  readonly appendAudit: (events: readonly AuditEvent[]) => void;
}

export class AuthAnswers {
  constructor(private readonly use: AuthDependencies) {}

  async password(session: ServerSession, { username, password }: PasswordCredentials): Promise<PasswordAnswer> {
    const inbound = stateOf(session);
    const result = await this.use.authenticator.verify(username, password, inbound.clientAddress);
    if (!result.ok) return refuse(inbound, result);
    inbound.granted = { account: result.account, identities: result.identities };
    return { effect: 'accept', identity: result.account };
  }

  async scram(session: ServerSession, username: string): Promise<ScramCredentials | AuthRefusal> {
    const inbound = stateOf(session);
    const result = await this.use.authenticator.scram(username, inbound.clientAddress);
    if (!result.ok) return refuse(inbound, result);
    inbound.scramUnderWay = true;
    inbound.granted = { account: result.identity, identities: result.identities };
    const { salt, iterations, storedKey, serverKey, identity } = result;
    return { salt, iterations, storedKey, serverKey, identity };
  }

  /** The client hears of the outcome when this has settled: failures wait here. */
  async ended(session: ServerSession, { mechanism, username, result }: AuthOutcome): Promise<void> {
    const inbound = stateOf(session);
    const standing = inbound.scramUnderWay
      ? this.use.authenticator.report(username, inbound.clientAddress, result === 'abandoned' ? 'undecided' : result)
      : { delayMs: 0 };
    inbound.scramUnderWay = false;
    const reason = inbound.authRefusal ?? (result === 'failed' ? 'refused' : result);
    inbound.authRefusal = undefined;
    if (result !== 'abandoned') this.#record(session, inbound, { mechanism, username, reason });
    if (result !== 'proved') inbound.granted = undefined;
    if (result === 'failed') this.#count(inbound);
    await waitMs(standing.delayMs);
  }

  /** By what was known at connect: whoever fails has proved to be nobody. */
  #count({ facts, lookUps }: InboundSession): void {
    const policy = this.use.currentPolicy();
    if (policy === undefined) return;
    const known = { ...facts, ...lookUps.known };
    this.use.limits.count('auth-failures', { snapshot: policy.snapshot, facts: known, decision: NOBODY });
  }

  #record(
    session: ServerSession,
    inbound: InboundSession,
    { mechanism, username, reason }: { readonly mechanism: string; readonly username: string; readonly reason: string },
  ): void {
    const common = { id: newId(), sessionId: inbound.id, clientAddress: inbound.clientAddress };
    const data = {
      listener: inbound.listener,
      clientPort: session.client.port,
      mechanism,
      tls: session.tls?.version ?? '',
    };
    const event: AuditEvent =
      reason === 'proved'
        ? { ...common, kind: 'session.authenticated', data: { ...data, account: inbound.granted?.account ?? username } }
        : {
            ...common,
            kind: 'session.auth-failed',
            data: { ...data, username: username.slice(0, MAX_USERNAME), reason },
          };
    this.use.appendAudit([event]);
  }
}

async function refuse(inbound: InboundSession, { why, delayMs, locked }: AuthenticationRefused): Promise<AuthRefusal> {
  inbound.authRefusal = why;
  await waitMs(delayMs);
  return { effect: 'refuse', reply: AUTHENTICATION_REPLIES[locked ? 'locked' : why], close: locked };
}
