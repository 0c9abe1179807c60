// expect lint: no-restricted-imports
// expect fence: libs/policy: built-ins
export { readFileSync } from 'node:fs';
