// expect fence: apps/gateway: packages
export { DataSource } from 'typeorm';
