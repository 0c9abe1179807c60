/** A policy for tests as a document to build on; every part can be replaced. Ports are 0: whatever is free. */

export type PolicyDocument = Record<string, unknown>;

export interface NextHop {
  readonly host: string;
  readonly port: number;
  readonly priority?: number;
}

/** A profile that gives up within seconds. */
export const IMPATIENT = { first: '1s', factor: 1, longest: '1s', 'give-up': '6s' };

/**
 * One internal listener that trusts loopback. `capture.test` goes to the Maildir `capture`, everything else to
 * `elsewhere`: the Maildir of that name, or the hosts given.
 */
export function testPolicy(elsewhere: readonly NextHop[] = [], more: PolicyDocument = {}): PolicyDocument {
  return {
    policy: 'main',
    listeners: { inside: { address: '127.0.0.1', port: 0, exposure: 'internal' } },
    clients: [
      {
        name: 'this-machine',
        match: { ip: ['127.0.0.0/8', '::1'], listener: ['inside'] },
        relay: 'anywhere',
        senders: 'all-senders',
      },
    ],
    lists: {
      'all-senders': { type: 'domain', entries: ['client.test', 'source.test', 'capture.test'] },
      'captured-domains': { type: 'domain', entries: ['capture.test'] },
    },
    routing: [
      { name: 'captured', when: { 'recipient.domain': 'captured-domains' }, route: 'capture' },
      { name: 'rest', route: 'elsewhere' },
    ],
    routes: {
      capture: { file: { format: 'maildir', directory: 'capture' } },
      elsewhere:
        elsewhere.length === 0
          ? { file: { format: 'maildir', directory: 'elsewhere' } }
          : { hosts: elsewhere, retry: 'impatient' },
    },
    retry: { impatient: IMPATIENT },
    ...more,
  };
}
