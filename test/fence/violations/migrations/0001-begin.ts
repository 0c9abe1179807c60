export type { MigrationInterface } from 'typeorm';
