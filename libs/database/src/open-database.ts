/**
 * The face of this library: one object with a store per concern. Nothing outside sees a driver.
 *
 *   const db = await openDatabase({ url });  await db.migrate();  …  await db.close();
 */
import type { AuditEvent } from '#audit';
import type { MessageToStore, QueueStore } from '#delivery';
import { AccountStore } from './account-store.js';
import { ApiKeyStore } from './api-key-store.js';
import { AuditChains, type CommitListener } from './audit-chain.js';
import { AuditSearch } from './audit-search.js';
import { AuditVerifier, type VerifyOptions, type VerifyReport } from './audit-verifier.js';
import { ContentChunks } from './content-chunks.js';
import { CheckpointStore } from './checkpoint-store.js';
import { openConnections, type Connections } from './connections.js';
import { databaseConfigSchema, type DatabaseConfig, type DatabaseSettings } from './database-config.js';
import { PostgresGreylistStore, type GreylistStore } from './greylist-store.js';
import { DestinationStore } from './destination-store.js';
import { GatewayDrains } from './gateway-drains.js';
import { GatewayQuestions } from './gateway-questions.js';
import { DraftStore } from './draft-store.js';
import { GroupCommitter } from './group-committer.js';
import { LeaseRecovery } from './lease-recovery.js';
import { IdempotencyStore } from './idempotency-store.js';
import { PostgresLimitStore, type LimitStore } from './limit-store.js';
import { ListImportStore } from './list-import-store.js';
import { ListStore } from './list-store.js';
import { migrate } from './migrate.js';
import { NodeStore } from './node-store.js';
import { OperationStore } from './operation-store.js';
import { Orm } from './orm.js';
import { grant, type ProcessKind } from './grants.js';
import { Partitions, type Retention } from './partitions.js';
import { PolicyStore } from './policy-store.js';
import { QueueAdministration } from './queue-administration.js';
import { QueueInspection } from './queue-inspection.js';
import { PostgresQueueStore, type QueueStoreOptions } from './queue-store.js';
import { ReviewStore } from './review-store.js';
import { noSecretKeys } from './secret-keys.js';
import { SecretStore } from './secret-store.js';
import type { Page, QueueEntry, QueueFilter } from './types.js';
import { Watch, type HealthListener, type NotificationHandler } from './watch.js';

export interface Database {
  /** False while the database is away; every call of the mail path then fails at once. */
  readonly healthy: boolean;
  /** Told at every change; returns the way to stop listening. */
  onHealth(listener: HealthListener): () => void;
  /** Told of every group of rows of audit that this process has committed. One listener; it must not throw. */
  onCommit(listener: CommitListener): void;
  /** Brings the schema up to date, safe when two start at once. Returns the names of the migrations that ran. */
  migrate(): Promise<readonly string[]>;
  readonly messages: {
    /** Resolves after COMMIT. Rejects with OperationalError; an unknown outcome is a rejection. */
    accept(message: MessageToStore): Promise<void>;
  };
  readonly audit: Pick<AuditSearch, 'searchTransactions' | 'transaction' | 'events'> & {
    /**
     * Keeps events for the next commit group. Returns false when so many wait that the caller should stop producing
     * (answer 421) until flush() resolved. Nothing is dropped silently: see audit-buffer.ts.
     */
    append(events: readonly AuditEvent[]): boolean;
    /** Resolves when everything appended so far is committed; rejects when the database is away. */
    flush(): Promise<void>;
    readonly checkpoints: CheckpointStore;
    /** Reads the whole audit: minutes, for millions of rows. */
    verify(options: VerifyOptions): Promise<VerifyReport>;
  };
  /** Large content, for gateways that share no disk. */
  readonly contents: ContentChunks;
  readonly queue: QueueStore &
    Pick<QueueInspection, 'status' | 'stillQueued' | 'committed'> & {
      /** Oldest first. `after` is the `next` of the page before. */
      entries(given?: QueueFilter & { limit?: number; after?: string }): Promise<Page<QueueEntry>>;
    };
  /** What operators do to the queue. */
  readonly queueAdministration: QueueAdministration;
  /** Domains whose mail waits. */
  readonly destinations: DestinationStore;
  /** Gateways that are to take no new sessions. */
  readonly drains: GatewayDrains;
  /** What only running gateways know. */
  readonly questions: GatewayQuestions;
  /** Mail that waits for a person. */
  readonly reviews: ReviewStore;
  /** How many days are kept. Only for the owner of the tables. */
  setRetention(retention: Retention): Promise<void>;
  /** Days of audit that the policy in force promises; retention is the longer of both. For the gateway. */
  keepAudit(auditDays: number | undefined): void;
  /** Rights of another role: what a process of this kind needs, and nothing more. Only for the owner of the tables. */
  grant(role: string, to: ProcessKind, how: { readonly create: boolean }): Promise<void>;
  readonly policies: PolicyStore;
  readonly drafts: DraftStore;
  readonly lists: ListStore;
  readonly listImports: ListImportStore;
  /** Counts of limits that gateways share. */
  readonly limits: LimitStore;
  /** Who was asked to come back, and who did. */
  readonly greylist: GreylistStore;
  readonly apiKeys: ApiKeyStore;
  /** Who may sign in over SMTP. */
  readonly accounts: AccountStore;
  /** What the relay signs in with elsewhere: sealed, write-only but for `reveal`. */
  readonly secrets: SecretStore;
  /** Requests that may be sent twice and must be done once. */
  readonly idempotency: IdempotencyStore;
  /** Long work of the admin API. */
  readonly operations: OperationStore;
  readonly nodes: NodeStore;
  readonly notifications: {
    /** Hints only, lost while disconnected; after a reconnection the handler is called with channel ''. */
    listen(channels: readonly string[], handler: NotificationHandler): Promise<() => void>;
  };
  /** Commit groups so far. */
  readonly commits: number;
  /** Commits what waits (unless the database is away), leaves the cluster, closes every connection. */
  close(): Promise<void>;
}

/** Throws OperationalError `unfit-database` when the server is too old, unsafe, or its schema newer than this program. */
export async function openDatabase(settings: DatabaseSettings): Promise<Database> {
  const config = databaseConfigSchema.parse(settings);
  const watch = new Watch(config);
  await watch.start();
  return assemble(config, watch);
}

function assemble(config: DatabaseConfig, watch: Watch): Database {
  const connections = openConnections(config);
  const orm = new Orm(config);
  const partitions = new Partitions(connections.read);
  const lists = new ListStore(connections.read);
  const policies = new PolicyStore(connections.read, orm);
  const limits = new PostgresLimitStore(connections.read);
  const greylist = new PostgresGreylistStore(connections.greylist);
  const contents = new ContentChunks(connections.read, (ids) => partitions.makeFor(ids));
  const destinations = new DestinationStore(connections.read);
  const nodes = new NodeStore({
    pool: connections.read,
    config,
    watch,
    housekeeping: async () => {
      await partitions.makeAhead();
      await partitions.dropExpired();
      await lists.removeExpired();
      await policies.noteLapsed();
      await limits.removeExpired();
      await greylist.removeExpired();
      await contents.sweepOrphans();
      await destinations.keepHouse();
    },
  });
  const chains = new AuditChains(() => nodes.current?.name ?? '');
  const owner = (): number | null => nodes.owner;
  const makePartitions = (ids: readonly string[]): Promise<void> => partitions.makeFor(ids);
  const recovery = new LeaseRecovery(connections.queue);
  const committer = new GroupCommitter({
    pool: connections.commit,
    watch,
    chains,
    recovery,
    groupMessages: config.groupMessages,
    groupBytes: config.groupBytes,
    groupsInFlight: config.commitConnections,
    auditBufferEvents: config.auditBufferEvents,
    owner,
    makePartitions,
  });
  return {
    get healthy() {
      return watch.healthy;
    },
    get commits() {
      return committer.commits;
    },
    onHealth: (listener) => watch.onHealth(listener),
    onCommit: (listener) => {
      chains.onCommit = listener;
    },
    migrate: () => migrated(config, partitions),
    ...mailStores(connections, committer, { chains, owner, recovery, makePartitions }),
    ...administrationStores(connections, orm, config),
    destinations,
    reviews: new ReviewStore({ pool: connections.read, owner }),
    setRetention: (retention) => partitions.setRetention(retention),
    keepAudit: (auditDays) => {
      partitions.keepAudit(auditDays);
    },
    grant: (role, to, how) => grant(connections.read, { role, to, ...how }),
    policies,
    lists,
    limits,
    greylist,
    contents,
    nodes,
    notifications: { listen: (channels, handler) => watch.listen(channels, handler) },
    async close() {
      await committer.close();
      await nodes.close();
      await watch.close();
      await orm.close();
      await connections.close();
    },
  };
}

async function migrated(config: DatabaseConfig, partitions: Partitions): Promise<readonly string[]> {
  const names = await migrate(config);
  await partitions.makeAhead();
  return names;
}

/** What people work with, and gateways hardly. */
function administrationStores(
  connections: Connections,
  orm: Orm,
  config: DatabaseConfig,
): Pick<
  Database,
  'drains' | 'questions' | 'drafts' | 'listImports' | 'apiKeys' | 'accounts' | 'idempotency' | 'operations' | 'secrets'
> {
  const { read, bulk } = connections;
  return {
    drains: new GatewayDrains(read),
    questions: new GatewayQuestions(read),
    drafts: new DraftStore(read),
    listImports: new ListImportStore(read, bulk),
    apiKeys: new ApiKeyStore(orm),
    accounts: new AccountStore(read),
    idempotency: new IdempotencyStore(read),
    operations: new OperationStore(read),
    secrets: new SecretStore(read, config.secretKeys ?? noSecretKeys),
  };
}

/** What mail passes through: accept, queue, audit. */
function mailStores(
  connections: Connections,
  committer: GroupCommitter,
  node: Pick<QueueStoreOptions, 'chains' | 'owner' | 'recovery' | 'makePartitions'>,
): Pick<Database, 'messages' | 'queue' | 'queueAdministration' | 'audit'> {
  const append = (events: readonly AuditEvent[]): boolean => committer.append(events);
  const queue = new PostgresQueueStore({ pool: connections.queue, append, ...node });
  const inspection = new QueueInspection(connections.read);
  const queueAdministration = new QueueAdministration(connections.read);
  const search = new AuditSearch(connections.search, connections.read);
  const checkpoints = new CheckpointStore(connections.read, node.chains);
  const verifier = new AuditVerifier(connections.report, checkpoints);
  return {
    messages: { accept: (message) => committer.accept(message) },
    audit: {
      append,
      flush: () => committer.flush(),
      searchTransactions: (given) => search.searchTransactions(given),
      transaction: (id) => search.transaction(id),
      events: (given) => search.events(given),
      checkpoints,
      verify: (options) => verifier.verify(options),
    },
    queueAdministration,
    queue: {
      claim: (limit, wishes) => queue.claim(limit, wishes),
      record: (outcomes, notices) => queue.record(outcomes, notices),
      release: (ids) => queue.release(ids),
      status: () => inspection.status(),
      entries: (given = {}) => queueAdministration.search(given, given),
      stillQueued: (ids) => inspection.stillQueued(ids),
      committed: (ids) => inspection.committed(ids),
    },
  };
}
