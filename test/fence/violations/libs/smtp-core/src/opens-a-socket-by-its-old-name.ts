// expect lint: no-restricted-imports
// expect fence: libs/smtp-core: built-ins
export { connect } from 'net';
