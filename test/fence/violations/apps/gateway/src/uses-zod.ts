// expect fence: apps/gateway: packages
export { z } from 'zod';
