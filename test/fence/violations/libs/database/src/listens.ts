// expect fence: libs/database: built-ins
export { createServer } from 'node:http';
