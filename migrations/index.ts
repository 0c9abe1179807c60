/** Every migration, in order. The classes import types only: reading their names does not load TypeORM. */
import { CreateMessageAndQueue1763800000001 } from './0001-create-message-and-queue.js';
import { CreateAuditEvent1763800000002 } from './0002-create-audit-event.js';
import { CreatePolicy1763800000003 } from './0003-create-policy.js';
import { CreateManagedList1763800000004 } from './0004-create-managed-list.js';
import { CreateApiKeyAndNode1763800000005 } from './0005-create-api-key-and-node.js';
import { CreateAccountAndSecret1763800000006 } from './0006-create-account-and-secret.js';
import { AddDeliveryStatusNotifications1763800000007 } from './0007-add-delivery-status-notifications.js';
import { CreateAuditChain1763800000008 } from './0008-create-audit-chain.js';
import { AddLeaseRecovery1763800000009 } from './0009-add-lease-recovery.js';
import { CreateRetentionAndChunks1763800000010 } from './0010-create-retention-and-chunks.js';
import { AddReviews1763800000011 } from './0011-add-reviews.js';
import { AddRefusedPolicy1763800000012 } from './0012-add-refused-policy.js';
import { CreateIdempotentRequest1763800000013 } from './0013-create-idempotent-request.js';
import { CreateLimitCount1763800000014 } from './0014-create-limit-count.js';
import { CreateGreylist1763800000015 } from './0015-create-greylist.js';
import { AddQueueOperations1763800000016 } from './0016-add-queue-operations.js';
import { AddQueueDomainIndex1763800000017 } from './0017-add-queue-domain-index.js';
import { CreateOperation1763800000018 } from './0018-create-operation.js';
import { AddCarefulReleases1763800000019 } from './0019-add-careful-releases.js';

export const MIGRATIONS = [
  CreateMessageAndQueue1763800000001,
  CreateAuditEvent1763800000002,
  CreatePolicy1763800000003,
  CreateManagedList1763800000004,
  CreateApiKeyAndNode1763800000005,
  CreateAccountAndSecret1763800000006,
  AddDeliveryStatusNotifications1763800000007,
  CreateAuditChain1763800000008,
  AddLeaseRecovery1763800000009,
  CreateRetentionAndChunks1763800000010,
  AddReviews1763800000011,
  AddRefusedPolicy1763800000012,
  CreateIdempotentRequest1763800000013,
  CreateLimitCount1763800000014,
  CreateGreylist1763800000015,
  AddQueueOperations1763800000016,
  AddQueueDomainIndex1763800000017,
  CreateOperation1763800000018,
  AddCarefulReleases1763800000019,
] as const;

/** As noted in `schema_migration`. */
export const MIGRATION_NAMES: readonly string[] = MIGRATIONS.map((migration) => migration.name);
