// expect lint: no-restricted-imports
// expect fence: libs/smtp-core: libraries
import type { Inner } from '#policy';
export type { Inner };
