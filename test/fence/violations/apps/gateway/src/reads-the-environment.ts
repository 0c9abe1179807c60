// expect lint: no-restricted-properties
import { main } from './main.js';
export const url = (): unknown => [main, process.env['DATABASE_URL']];
