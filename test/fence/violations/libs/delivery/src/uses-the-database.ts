// expect fence: libs/delivery: packages
export { Client } from 'pg';
