// expect fence: libraries know no app
export { main } from '../../../apps/gateway/src/main.js';
