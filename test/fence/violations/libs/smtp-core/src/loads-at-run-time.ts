// expect lint: no-restricted-syntax
// expect fence: libs/smtp-core: libraries
import { inner } from './inner.js';
export const load = async (): Promise<unknown> => [inner, await import('#policy')];
