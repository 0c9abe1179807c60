// expect fence: apps/admin-api: libraries
export { inner } from '#smtp-core';
