export { inner } from './inner.js';
export type { Inner } from './inner.js';
