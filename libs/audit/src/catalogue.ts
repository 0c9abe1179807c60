/**
 * What each event means, for people: `docs/audit.md` is rendered from this table. Total by type: an event or a field
 * without its line here does not compile.
 */
import { ATTEMPT, QUEUE_CHANGE, REVIEW, TRANSACTION, type DataOf, type FieldsOf } from './catalogue-fields.js';
import type { AuditEventKind } from './event.js';

type Catalogue = {
  readonly [Kind in AuditEventKind]: { readonly meaning: string; readonly fields: FieldsOf<DataOf<Kind>> };
};

const EVENTS: Catalogue = {
  'connection.refused': {
    meaning: 'A connection was refused before any command.',
    fields: {
      listener: TRANSACTION.listener,
      clientPort: TRANSACTION.clientPort,
      reply: 'banner it was given',
      by: 'rule or limit',
    },
  },
  'session.ended': {
    meaning: 'A session ended, for whatever reason.',
    fields: {
      listener: TRANSACTION.listener,
      clientPort: TRANSACTION.clientPort,
      helo: TRANSACTION.helo,
      startedAtMs: 'connection, milliseconds since 1970',
      endReason: '`quit`, `lost`, `timeout`, …',
      commands: 'commands received',
      errors: 'commands that were refused as errors',
      transactions: 'transactions begun',
      bytesIn: 'octets received',
      bytesOut: 'octets sent',
      refusals: 'MAIL and RCPT commands that were refused',
      refusedCommands:
        'those outside of transactions that were refused before the policy was asked, with their replies',
      peer: 'address of the balancer or front end that spoke for the client',
      tls: 'version, cipher, name asked for and fingerprint of the client’s certificate',
      auth: 'account that had signed in, and how',
    },
  },
  'session.authenticated': {
    meaning: 'A client signed in.',
    fields: {
      listener: TRANSACTION.listener,
      clientPort: TRANSACTION.clientPort,
      account: 'account',
      mechanism: '`PLAIN`, `LOGIN` or `SCRAM-SHA-256`',
      tls: 'version of TLS, empty without',
    },
  },
  'session.auth-failed': {
    meaning: 'A client did not get in.',
    fields: {
      listener: TRANSACTION.listener,
      clientPort: TRANSACTION.clientPort,
      username: 'name it gave',
      mechanism: '`PLAIN`, `LOGIN` or `SCRAM-SHA-256`',
      tls: 'version of TLS, empty without',
      reason:
        '`refused` (name or password wrong, account disabled or expired), `locked` (too many failures), `busy`, `unavailable` (database away)',
    },
  },
  'connections.turned-away': {
    meaning: 'Connections that never became sessions, summed up.',
    fields: {
      listener: TRANSACTION.listener,
      reason: '`too-many-connections`, `not-a-proxy`, `bad-proxy-header`, `tls-failed`, `stopping`',
      count: 'how many',
      firstAtMs: 'first, milliseconds since 1970',
      lastAtMs: 'last, milliseconds since 1970',
    },
  },
  'certificate.loaded': {
    meaning: 'A gateway shows this certificate from now on.',
    fields: {
      node: 'gateway',
      name: 'folder in the store',
      fingerprint: 'SHA-256, hex',
      subject: 'whom it names',
      expiresAt: 'RFC 3339',
    },
  },
  'transaction.accepted': {
    meaning: 'Mail was accepted; committed together with content and queue.',
    fields: TRANSACTION,
  },
  'transaction.refused': { meaning: 'Mail was refused or deferred.', fields: TRANSACTION },
  'transaction.abandoned': { meaning: 'The client gave up, or went away.', fields: TRANSACTION },
  'recipient.judged': {
    meaning: 'One per recipient of a transaction with several, so that each is found.',
    fields: {
      id: 'id of the recipient, the same in the queue and in its deliveries',
      original: 'address as the client gave it',
      address: 'address after rewriting',
      verdict: '`accept`, `reject`, `defer`, `hold` or `discard`',
      by: 'deciding rule',
      reply: 'reply as sent',
      route: 'route chosen, for accepted ones',
      facts: 'facts of this recipient alone',
      parameters: 'what the sender asked about notices (RFC 3461)',
      tags: 'tags given up to RCPT TO',
      reviewQueue: 'review queue that keeps the mail, for `hold`',
      instead: 'its own verdict, where the one answer to all recipients made it another (`mixed-verdicts`)',
      headers: 'changes to the header of its mail',
      signatures: 'keys that are to sign its mail, `domain/selector`',
      seal: 'key that is to seal it (ARC)',
      addedBy: 'rule that added it (`add-recipient`, or a copy); the client never named it',
    },
  },
  'delivery.succeeded': { meaning: 'The next hop took the recipient.', fields: ATTEMPT },
  'delivery.deferred': { meaning: 'An attempt failed for now; another follows.', fields: ATTEMPT },
  'delivery.failed': { meaning: 'The next hop refused for good.', fields: ATTEMPT },
  'delivery.expired': { meaning: 'Given up after the longest time of the retry profile.', fields: ATTEMPT },
  'delivery.lease-lost': {
    meaning: 'An outcome that came too late: another node had taken the recipient over.',
    fields: ATTEMPT,
  },
  'delivery.uncertain': {
    meaning: 'A gateway died while it held the recipient: delivered or not, nobody knows. The next attempt follows.',
    fields: ATTEMPT,
  },
  'bounce.queued': {
    meaning: 'A notice of failure was queued to the sender.',
    fields: { noticeId: 'transaction of the notice', to: 'its recipient', recipients: 'recipients it tells about' },
  },
  'notice.queued': {
    meaning: 'A notice of delay or of success was queued to the sender.',
    fields: {
      action: '`delayed`, `relayed` (to a host that confirms nothing) or `delivered`',
      noticeId: 'transaction of the notice',
      to: 'its recipient',
      recipients: 'recipients it tells about',
    },
  },
  'bounce.suppressed': {
    meaning: 'No notice was sent.',
    fields: { reason: 'why', recipients: 'recipients it would have told about' },
  },
  'review.requested': {
    meaning: 'A person decided about held mail; a gateway carries it out.',
    fields: {
      queue: REVIEW.queue,
      rule: REVIEW.rule,
      action: '`release`, `reject`, `return` or `discard`',
      actor: 'who',
      reason: 'why',
    },
  },
  'review.released': {
    meaning: 'Held mail was judged again by the live policy and goes on.',
    fields: {
      ...REVIEW,
      route: 'its route',
      address: 'where it goes',
      added: 'who else gets it, with route and rule (`add-recipient`, or a copy)',
    },
  },
  'review.returned': {
    meaning: 'Held mail was refused; the sender gets a notice.',
    fields: { ...REVIEW, reply: 'what the notice says' },
  },
  'review.discarded': { meaning: 'Held mail was thrown away.', fields: REVIEW },
  'review.kept': {
    meaning: 'Held mail was to be released, but the live policy does not let it through. It waits on.',
    fields: { ...REVIEW, by: 'rule that objects', verdict: 'what it says' },
  },
  'policy.published': {
    meaning: 'A revision became the live policy.',
    fields: {
      revision: 'number',
      previous: 'revision that was live before',
      digest: 'of the document',
      confirmBy: 'it is in force no longer then, unless somebody confirms it',
      actor: 'who',
      reason: 'why',
    },
  },
  'policy.release-ended': {
    meaning: 'A release that had to be confirmed was confirmed, was aborted, or has lapsed.',
    fields: {
      release: 'its number',
      revision: 'that it made live',
      outcome: '`confirmed`, `aborted` or `lapsed`',
      live: 'revision in force from then on',
      actor: 'who; `system` where nobody confirmed it in time',
      reason: 'why',
    },
  },
  'policy.drafted': {
    meaning: 'Somebody worked on a draft of the policy. Mail is not concerned.',
    fields: {
      draft: 'which',
      operation: '`create`, `change` or `remove`',
      base: 'newest revision when it was begun',
      digest: 'of the document',
      actor: 'who',
      reason: 'why',
    },
  },
  'policy.committed': {
    meaning: 'A draft became a revision. It is not live yet.',
    fields: {
      revision: 'number',
      digest: 'of the document',
      draft: 'that it was',
      author: 'who began the draft',
      actor: 'who committed it',
      reason: 'why',
      sourceCommit: 'where its author keeps it',
    },
  },
  'policy.approved': {
    meaning: 'Somebody approved a document.',
    fields: { digest: 'of the document', actor: 'who', reason: 'why' },
  },
  'policy.loaded': {
    meaning: 'A gateway judges by this revision from now on.',
    fields: { node: 'gateway', revision: 'number', digest: 'of the document' },
  },
  'policy.load-failed': {
    meaning: 'A gateway could not use a revision and keeps the one it has.',
    fields: { node: 'gateway', revision: 'number', message: 'why' },
  },
  'list.changed': {
    meaning: 'Entries of a managed list were added or removed.',
    fields: {
      list: 'name',
      revision: 'of the list, after the change',
      operation: '`add` or `remove`',
      value: 'the entry; empty when `count` is given',
      count: 'number of entries changed at once',
      actor: 'who',
      reason: 'why',
    },
  },
  'api-key.created': {
    meaning: 'A key of the API was made.',
    fields: { keyId: 'its id', name: 'its name', actor: 'who' },
  },
  'api-key.revoked': {
    meaning: 'A key of the API was revoked.',
    fields: { keyId: 'its id', name: 'its name', actor: 'who' },
  },
  'account.changed': {
    meaning: 'An SMTP account was made, changed or removed, or got another password. Passwords are never recorded.',
    fields: {
      account: 'its name',
      operation: '`create`, `update`, `password` or `remove`',
      before: 'revision, identities, disabled, expiresAt and note before it; absent for a new one',
      after: 'the same after it; absent for a removed one',
      actor: 'who',
      reason: 'why',
    },
  },
  'secret.changed': {
    meaning: 'A secret of the relay was set, removed, or sealed with another key. Its value is never recorded.',
    fields: {
      secret: 'its name',
      operation: '`set`, `remove` or `reseal`',
      revision: 'of the secret, after the change',
      actor: 'who',
      reason: 'why',
    },
  },
  'queue.retried': { meaning: 'An operator made a recipient due now.', fields: QUEUE_CHANGE },
  'queue.held': { meaning: 'An operator holds a recipient’s mail back.', fields: QUEUE_CHANGE },
  'queue.released': { meaning: 'An operator let a held recipient’s mail go on.', fields: QUEUE_CHANGE },
  'queue.rerouted': { meaning: 'An operator gave a recipient another route.', fields: QUEUE_CHANGE },
  'queue.redirected': { meaning: 'An operator sends a recipient’s mail to another address.', fields: QUEUE_CHANGE },
  'queue.expired': {
    meaning: 'An operator gave a recipient up; `delivery.expired` follows, and the notice.',
    fields: QUEUE_CHANGE,
  },
  'queue.dropped': { meaning: 'An operator threw a recipient’s mail away; nobody is told.', fields: QUEUE_CHANGE },
  'queue.operation-started': {
    meaning: 'An operator changes many recipients; each has its own event too.',
    fields: {
      operation: '`opr_…`',
      action: 'what is done to each',
      filter: 'which',
      matched: 'how many there were',
      actor: 'who',
      reason: 'why',
    },
  },
  'queue.operation-ended': {
    meaning: 'It came to an end.',
    fields: {
      operation: '`opr_…`',
      action: 'what was done to each',
      actor: 'who',
      state: '`succeeded`, `cancelled`, `interrupted` or `failed`',
      changed: 'recipients that were changed',
      unchanged: 'that were so already, or were delivered meanwhile',
      refused: 'for which it does not make sense, or the policy does not allow it',
      busy: 'that were being delivered the whole time',
    },
  },
  'destination.suspended': {
    meaning: 'An operator suspended mail to a domain: it is accepted and waits.',
    fields: { domain: 'of the recipients', actor: 'who', reason: 'why' },
  },
  'destination.resumed': {
    meaning: 'An operator resumed mail to a domain.',
    fields: { domain: 'of the recipients', actor: 'who', reason: 'why' },
  },
  'gateway.drained': {
    meaning: 'An operator wants a gateway to take no new sessions.',
    fields: { node: 'gateway', actor: 'who', reason: 'why' },
  },
  'gateway.resumed': {
    meaning: 'An operator wants it to take sessions again.',
    fields: { node: 'gateway', actor: 'who', reason: 'why' },
  },
  'queue.set-aside': {
    meaning: 'A recipient cannot be attempted and waits for an operator.',
    fields: { reason: 'why', route: 'its route' },
  },
  'queue.taken-over': {
    meaning: 'Mail under way at a gateway that died was given back to the queue.',
    fields: {
      node: 'gateway that died',
      owner: 'its incarnation',
      recipients: 'how many',
      by: 'gateway that found it',
    },
  },
  'audit.retention': {
    meaning: 'Days older than retention keeps were dropped.',
    fields: { dropped: 'tables that held them' },
  },
  'audit.gap': {
    meaning: 'Events were lost while the database was away and the buffer was full.',
    fields: { lost: 'how many', firstAtMs: 'first loss', lastAtMs: 'last loss', reason: 'why' },
  },
  'gateway.started': { meaning: 'A gateway started.', fields: { node: 'gateway', version: 'of the program' } },
  'gateway.stopped': { meaning: 'A gateway stopped in order.', fields: { node: 'gateway', reason: 'why' } },
};

/** The reference as Markdown: every kind of event with its fields. */
export function renderAuditEvents(): string {
  const parts = Object.entries(EVENTS).map(([kind, { meaning, fields }]) => {
    const rows = Object.entries(fields).map(([name, text]) => `| \`${name}\` | ${text} |`);
    return [`### \`${kind}\``, '', meaning, '', '| Field of `data` | |', '|---|---|', ...rows, ''].join('\n');
  });
  return [HEAD, ...parts].join('\n');
}

const HEAD = `# Audit events

Generated from \`libs/audit/src/catalogue.ts\`; do not edit. Every event has \`id\` (UUIDv7: its time is the event's time)
and \`kind\`; where they apply also \`sessionId\`, \`transactionId\`, \`recipient\`, \`recipientId\`, \`sender\` (empty: the null
sender) and \`clientAddress\`. Events are appended and never changed; states such as "delivered" are views over them.
`;
