// expect lint: no-restricted-properties no-restricted-properties no-restricted-syntax no-restricted-globals
import { inner } from './inner.js';
export const now = (): unknown => [inner, Date.now(), Math.random(), new Date(), performance.now()];
