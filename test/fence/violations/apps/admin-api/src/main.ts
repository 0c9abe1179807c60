// expect fence: apps know no app
export { main } from '../../gateway/src/main.js';
