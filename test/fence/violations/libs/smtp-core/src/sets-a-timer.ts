// expect lint: no-restricted-globals no-restricted-globals
import { inner } from './inner.js';
export const later = (): unknown => [inner, setTimeout(() => undefined, 1), process.pid];
