// expect fence: apps/admin-api: types only
export { inner } from '#delivery';
