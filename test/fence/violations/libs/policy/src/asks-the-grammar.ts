// expect lint: no-restricted-imports
// expect fence: libs/policy: libraries
export { inner } from '#smtp-core';
