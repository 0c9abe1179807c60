// expect fence: libs/delivery: built-ins
export { connect } from 'node:tls';
