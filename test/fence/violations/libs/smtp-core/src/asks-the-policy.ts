// expect lint: no-restricted-imports
// expect fence: libs/smtp-core: libraries
export { inner } from '#policy';
