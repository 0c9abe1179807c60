export { inner as main } from '#policy';
