import { Module, type DynamicModule, type Provider } from '@nestjs/common';
import { APP_FILTER, APP_GUARD, APP_INTERCEPTOR, APP_PIPE } from '@nestjs/core';
import type { Logger } from 'pino';
import { AccountsController } from './accounts/accounts.controller.js';
import { AccountsService } from './accounts/accounts.service.js';
import { ApiKeysController } from './api-keys/api-keys.controller.js';
import { ApiKeysService } from './api-keys/api-keys.service.js';
import { AuditController } from './audit/audit.controller.js';
import { AuditService } from './audit/audit.service.js';
import { EVIDENCE, NO_EVIDENCE, type Evidence } from './audit/evidence.js';
import { AuthGuard } from './auth/auth.guard.js';
import { DatabaseAccess } from './database-access.js';
import { DestinationsController } from './destinations/destinations.controller.js';
import { DestinationsService } from './destinations/destinations.service.js';
import { GatewaysController } from './gateways/gateways.controller.js';
import { GatewaysService } from './gateways/gateways.service.js';
import { HealthController } from './health/health.controller.js';
import { HealthService } from './health/health.service.js';
import { IdempotencyInterceptor } from './http/idempotency.js';
import { ProblemFilter } from './http/problem.filter.js';
import { QueryGuard } from './http/query.guard.js';
import { validationPipe } from './http/validation.js';
import { LOGGER } from './logger.js';
import { ListTransferController } from './lists/list-transfer.controller.js';
import { ListTransferService } from './lists/list-transfer.service.js';
import { ListsController } from './lists/lists.controller.js';
import { ListsService } from './lists/lists.service.js';
import { OpenApiController } from './openapi.controller.js';
import { OpenApiHolder } from './openapi-holder.js';
import { OperationsController } from './operations/operations.controller.js';
import { OperationsService } from './operations/operations.service.js';
import { ApprovalsService, REQUIRED_APPROVALS } from './policies/approvals.service.js';
import { DraftsController } from './policies/drafts/drafts.controller.js';
import { DraftsService } from './policies/drafts/drafts.service.js';
import { LivePolicyReader } from './policies/live-policy-reader.js';
import { PoliciesController } from './policies/policies.controller.js';
import { PoliciesService } from './policies/policies.service.js';
import { LiveRouting } from './queue/live-routing.js';
import { ManyMessagesController } from './queue/many-messages.controller.js';
import { ManyMessagesService } from './queue/many-messages.service.js';
import { MessagesController } from './queue/messages.controller.js';
import { MessagesService } from './queue/messages.service.js';
import { QueueChanger } from './queue/queue-changer.js';
import { PublishingService } from './policies/publishing.service.js';
import { ReleasesController } from './policies/releases/releases.controller.js';
import { ReleasesService } from './policies/releases/releases.service.js';
import { SECTION_CONTROLLERS } from './policies/sections/section-controllers.js';
import { SectionsService } from './policies/sections/sections.service.js';
import { QueueController } from './queue/queue.controller.js';
import { QueueService } from './queue/queue.service.js';
import { ReviewsController } from './reviews/reviews.controller.js';
import { ReviewsService } from './reviews/reviews.service.js';
import { SecretsController, SecretVerbsController } from './secrets/secrets.controller.js';
import { SecretsService } from './secrets/secrets.service.js';
import { PresentLists } from './simulations/present-lists.js';
import { SimulationsController } from './simulations/simulations.controller.js';
import { SimulationsService } from './simulations/simulations.service.js';
import { ExplanationsService } from './transactions/explanations.service.js';
import { TransactionsController } from './transactions/transactions.controller.js';
import { TransactionsService } from './transactions/transactions.service.js';

export interface AdminApiParts {
  readonly database: DatabaseAccess;
  readonly logger: Logger;
  readonly maxPolicyBytes: number;
  /** Of one API key, on average over ten seconds. */
  readonly maxRequestsPerSecond?: number;
  readonly evidence?: Evidence;
  /** How many others than its author must approve a policy. */
  readonly requiredApprovals?: number;
}

/** The wiring. */
@Module({})
export class AdminApiModule {
  static with(parts: AdminApiParts): DynamicModule {
    const providers: Provider[] = [
      { provide: DatabaseAccess, useValue: parts.database },
      { provide: LOGGER, useValue: parts.logger },
      { provide: REQUIRED_APPROVALS, useValue: parts.requiredApprovals ?? 0 },
      { provide: EVIDENCE, useValue: parts.evidence ?? NO_EVIDENCE },
      { provide: APP_FILTER, useValue: new ProblemFilter(parts.logger) },
      { provide: APP_PIPE, useFactory: validationPipe },
      { provide: APP_GUARD, useClass: AuthGuard },
      { provide: APP_GUARD, useClass: QueryGuard },
      { provide: APP_INTERCEPTOR, useClass: IdempotencyInterceptor },
      OpenApiHolder,
      LivePolicyReader,
      AccountsService,
      ApiKeysService,
      AuditService,
      ExplanationsService,
      PresentLists,
      SimulationsService,
      DestinationsService,
      GatewaysService,
      HealthService,
      ListsService,
      ListTransferService,
      OperationsService,
      ApprovalsService,
      DraftsService,
      PublishingService,
      ReleasesService,
      SectionsService,
      PoliciesService,
      LiveRouting,
      ManyMessagesService,
      MessagesService,
      QueueChanger,
      QueueService,
      ReviewsService,
      SecretsService,
      TransactionsService,
    ];
    const controllers = [
      HealthController,
      OpenApiController,
      PoliciesController,
      DraftsController,
      ReleasesController,
      ...SECTION_CONTROLLERS,
      ListsController,
      ListTransferController,
      TransactionsController,
      SimulationsController,
      QueueController,
      MessagesController,
      ManyMessagesController,
      DestinationsController,
      ReviewsController,
      GatewaysController,
      AccountsController,
      SecretsController,
      SecretVerbsController,
      ApiKeysController,
      AuditController,
      OperationsController,
    ];
    return { module: AdminApiModule, providers, controllers };
  }
}
