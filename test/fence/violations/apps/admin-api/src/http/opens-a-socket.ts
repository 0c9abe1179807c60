// expect fence: apps/admin-api: built-ins
export { connect } from 'node:net';
