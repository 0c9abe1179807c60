// expect fence: no unresolved import
export { inner } from '#misspelt';
