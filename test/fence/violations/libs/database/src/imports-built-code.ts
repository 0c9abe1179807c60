// expect fence: aliases resolve to sources
export { inner } from '#bundled';
