import type { Type } from '@nestjs/common';
import { sectionController } from './section.controller.js';

/** The parts of a policy that are resources of their own. Those that are changed once a year are changed by a draft. */
export const SECTION_CONTROLLERS: readonly Type[] = [
  sectionController({ path: 'acl/:phase/rules', one: 'Rule', kind: 'sequence' }),
  sectionController({ path: 'clients', one: 'Client', kind: 'sequence', section: 'clients' }),
  sectionController({ path: 'domains', one: 'Domain', kind: 'sequence', section: 'domains' }),
  sectionController({ path: 'rewriting', one: 'Rewriting', many: 'Rewriting', kind: 'sequence', section: 'rewriting' }),
  sectionController({ path: 'routing', one: 'RoutingRule', kind: 'sequence', section: 'routing' }),
  sectionController({ path: 'copies', one: 'Copy', many: 'Copies', kind: 'sequence', section: 'copies' }),
  sectionController({ path: 'limits', one: 'Limit', kind: 'sequence', section: 'limits' }),
  sectionController({ path: 'tests', one: 'Test', kind: 'sequence', section: 'tests' }),
  sectionController({ path: 'routes', one: 'Route', kind: 'mapping', section: 'routes' }),
  sectionController({ path: 'lists', one: 'ListDefinition', kind: 'mapping', section: 'lists' }),
  sectionController({ path: 'review-queues', one: 'ReviewQueue', kind: 'mapping', section: 'review-queues' }),
];
