// expect lint: no-restricted-properties
import { inner } from './inner.js';
export const url = (): unknown => [inner, process.env['DATABASE_URL']];
