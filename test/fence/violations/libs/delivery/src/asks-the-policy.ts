// expect fence: libs/delivery: libraries
export { inner } from '#policy';
