// expect fence: sources know no test
export { helper } from './helper.spec.js';
