/** `listeners` → definitions that the gateway uses as they are, and what the judge has to know of them. */
import type { ListenerDocument } from '../document.js';
import { joinPointer } from '../findings.js';
import type { ListenerProgram, Members } from '../program.js';
import type { AuthMechanism, ListenerAuth, ListenerDefinition, ListenerTls } from '../types.js';
import { parseIp, parseNetwork, printIp } from '../values/networks.js';
import { parseDurationMs } from '../values/units.js';
import { RESERVED_NAMES } from '../vocabulary.js';
import type { CompileContext } from './context.js';
import { compileMembers, eachValue } from './members.js';

export function compileListeners(context: CompileContext): readonly ListenerDefinition[] {
  const listeners = Object.entries(context.document.listeners).map(([name, listener]) =>
    compileListener(context, name, listener),
  );
  const places = new Map<string, string>();
  for (const listener of listeners) {
    if (RESERVED_NAMES.includes(listener.name)) {
      context.findings.blocks(
        'D5',
        joinPointer('/listeners', listener.name),
        `\`${listener.name}\` has a meaning of its own, expected another name for the listener`,
      );
    }
    for (const address of listener.port === 0 ? [] : listener.addresses) {
      const place = `${address} port ${String(listener.port)}`;
      const other = places.get(place);
      if (other === undefined) places.set(place, listener.name);
      else
        context.findings.blocks(
          'D8',
          joinPointer('/listeners', listener.name),
          `listener \`${listener.name}\` wants ${place}, which is \`${other}\`'s already`,
        );
    }
  }
  return listeners;
}

function compileListener(context: CompileContext, name: string, listener: ListenerDocument): ListenerDefinition {
  const pointer = joinPointer('/listeners', name);
  const tls = compileTls(context, listener, pointer);
  const auth = compileAuth(context, listener, pointer);
  return {
    name,
    addresses: compileAddresses(context, listener, pointer),
    port: listener.port,
    exposure: listener.exposure,
    ...(tls === undefined ? {} : { tls }),
    ...(auth === undefined ? {} : { auth }),
    proxyProtocol: listener['proxy-protocol'] !== undefined,
    xclient: listener.xclient !== undefined,
    greetingDelayMs: compileGreetingDelay(context, listener, pointer),
  };
}

/**
 * Without `address`: an internet listener binds every address, as its exposure says; an internal one binds loopback
 * only, so that nothing becomes reachable that nobody wrote down.
 */
function compileAddresses(context: CompileContext, listener: ListenerDocument, pointer: string): readonly string[] {
  const addresses: string[] = [];
  for (const { value, pointer: at } of listener.address === undefined
    ? []
    : eachValue<string>(listener.address, joinPointer(pointer, 'address'))) {
    const parsed = parseNetwork(value);
    const ip = value.includes('/') ? undefined : parseIp(value);
    if (!parsed.ok || ip === undefined) {
      const message = parsed.ok ? `\`${value}\` is a network, expected one address` : parsed.message;
      context.findings.blocks('D3', at, message);
    } else if (addresses.includes(printIp(ip))) {
      context.findings.blocks('D8', at, `address \`${value}\` is written twice`);
    } else {
      addresses.push(printIp(ip));
    }
  }
  const fallback = listener.exposure === 'internet' ? '::' : '127.0.0.1';
  return addresses.length === 0 ? [fallback] : addresses;
}

const DEFAULT_CERTIFICATE = 'default';

function compileTls(context: CompileContext, { tls }: ListenerDocument, pointer: string): ListenerTls | undefined {
  if (tls === undefined) return undefined;
  const implicit = tls.mode === 'implicit';
  if (implicit && tls.required === true) {
    const message = '`required` says nothing beside `mode: implicit`, where there is no session without TLS';
    context.findings.blocks('D7', joinPointer(pointer, 'tls', 'required'), message);
  }
  return {
    mode: tls.mode,
    certificate: tls.certificate ?? DEFAULT_CERTIFICATE,
    required: implicit || tls.required === true,
    clientCertificates: tls['client-certificates'] ?? 'none',
  };
}

const MECHANISMS: readonly AuthMechanism[] = ['SCRAM-SHA-256', 'PLAIN', 'LOGIN'];

function compileAuth(
  context: CompileContext,
  { auth, tls }: ListenerDocument,
  pointer: string,
): ListenerAuth | undefined {
  if (auth === undefined) return undefined;
  const written = typeof auth === 'string' ? { mode: auth } : auth;
  const withoutTls = 'without-tls' in written && written['without-tls'] === 'allowed';
  if (tls === undefined && !withoutTls) {
    const message = 'passwords are taken under TLS only, so nobody could sign in here, expected `tls` beside `auth`';
    context.findings.blocks('D7', joinPointer(pointer, 'auth'), message);
  }
  const chosen = ('mechanisms' in written ? written.mechanisms : undefined) ?? MECHANISMS;
  return {
    required: written.mode === 'required',
    mechanisms: MECHANISMS.filter((mechanism) => chosen.includes(mechanism)),
    withoutTls,
  };
}

const LONGEST_GREETING_DELAY_MS = 60_000;

function compileGreetingDelay(context: CompileContext, listener: ListenerDocument, pointer: string): number {
  const text = listener['greeting-delay'];
  const delayMs = text === undefined ? 0 : (parseDurationMs(text) ?? 0);
  const at = joinPointer(pointer, 'greeting-delay');
  if (delayMs > LONGEST_GREETING_DELAY_MS) {
    context.findings.blocks('D3', at, `\`${text ?? ''}\` is too long to wait for a greeting, expected at most \`1m\``);
  }
  if (delayMs > 0 && listener.tls?.mode === 'implicit') {
    const message = '`greeting-delay` has no meaning before `mode: implicit`, where the client talks first';
    context.findings.blocks('D7', at, message);
  }
  return delayMs;
}

/** The judge's side: prerequisites, and who may speak for others. */
export function compileListenerPrograms(
  context: CompileContext,
  definitions: readonly ListenerDefinition[],
): ReadonlyMap<string, ListenerProgram> {
  const programs = definitions.map(({ name, tls, auth }): readonly [string, ListenerProgram] => {
    const listener = context.document.listeners[name];
    const proxies = compileSpokesmen(context, listener?.['proxy-protocol'], name, 'proxy-protocol');
    const xclients = compileSpokesmen(context, listener?.xclient, name, 'xclient');
    const program = {
      name,
      tlsRequired: tls?.mode === 'starttls' && tls.required,
      authRequired: auth?.required === true,
      ...(proxies === undefined ? {} : { proxies }),
      ...(xclients === undefined ? {} : { xclients }),
    };
    return [name, program];
  });
  return new Map(programs);
}

function compileSpokesmen(
  context: CompileContext,
  written: { readonly from?: string | readonly string[] | undefined } | undefined,
  listener: string,
  key: 'proxy-protocol' | 'xclient',
): Members | undefined {
  if (written?.from === undefined) return undefined;
  return compileMembers(context, written.from, joinPointer('/listeners', listener, key, 'from'), {
    lists: ['network'],
    literal: 'network',
    grant: `the right to name the clients of listener \`${listener}\``,
  });
}
