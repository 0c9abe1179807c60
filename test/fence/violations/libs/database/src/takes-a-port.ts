import type { Inner } from '#delivery';
export type { Inner };
