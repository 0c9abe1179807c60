// expect fence: apps/cli: libraries
export { inner } from '#database';
