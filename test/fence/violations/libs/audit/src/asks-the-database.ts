// expect lint: no-restricted-imports
// expect fence: libs/audit: libraries
export { inner } from '#database';
