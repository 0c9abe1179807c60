// expect fence: migrations: libraries
export { inner } from '#database';
