// expect lint: no-restricted-properties
import { inner } from './inner.js';
export const now = (): unknown => [inner, Date.now()];
