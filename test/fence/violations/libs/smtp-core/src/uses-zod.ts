// expect lint: no-restricted-imports
// expect fence: libs/smtp-core: packages
export { z } from 'zod';
