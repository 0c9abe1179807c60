// expect fence: only the index of a library
export { inner } from '../../audit/src/inner.js';
