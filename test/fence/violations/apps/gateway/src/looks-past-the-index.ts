// expect fence: only the index of a library, from outside
export { inner } from '../../../libs/smtp-core/src/inner.js';
