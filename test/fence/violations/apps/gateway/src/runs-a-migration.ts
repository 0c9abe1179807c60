// expect fence: only database knows migrations
export type { MigrationInterface } from '../../../migrations/0001-begin.js';
