// expect lint: no-restricted-properties no-restricted-globals
import { inner } from './inner.js';
export const now = (): unknown => [inner, Date.now(), globalThis];
