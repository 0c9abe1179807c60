// expect fence: libs/database: types only
export { inner } from '#delivery';
